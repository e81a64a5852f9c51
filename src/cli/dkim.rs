use serde_json::json;

use super::{Context, Failure};
use crate::config::{DomainName, Project};
use crate::mail::dkim::{DkimError, Record, record};
use crate::mail::secrets;

/// Create missing DKIM keys and print their DNS records.
///
/// Creates a key in the secrets directory for each domain that has none. Prints the records as lines of a zone file,
/// ready to publish.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  mailimg dkim
  mailimg dkim example.org --json")]
pub(super) struct Args {
    /// The domains whose records to print [default: all domains in mailimg.toml]
    domains: Vec<DomainName>,
    /// Print a JSON array of objects with domain, name and value
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let project = Project::open(context.project())?;
    for secret in secrets::init_dkim(&project)?.iter().filter(|secret| secret.made) {
        context.ui().status(format!("created {}", project.secrets_dir().join(&secret.path)));
    }
    let domains = if args.domains.is_empty() { project.domains("`mailimg dkim`")? } else { &args.domains };
    let records = domains.iter().map(|domain| Ok((domain, record(&project, domain)?)));
    let records = records.collect::<Result<Vec<_>, DkimError>>()?;
    if args.json {
        let objects = records
            .iter()
            .map(|(domain, Record { name, value })| json!({ "domain": domain.as_str(), "name": name, "value": value }));
        return context.ui().json(&objects.collect::<Vec<_>>());
    }
    records.iter().try_for_each(|(_, it)| context.ui().line(it.zone_line()))
}
