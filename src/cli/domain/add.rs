use serde_json::json;

use super::{Context, Failure, say_what_is_next};
use crate::config::{DomainName, Project};
use crate::mail::dkim::{Record, record};
use crate::mail::{domains, secrets};

/// Add a domain to the site.
///
/// Adds it to `domains` in mailimg.toml, creates its DKIM key, and prints the DNS records to publish, as lines of a zone
/// file. A domain that is already there is left as it is; a missing key is created and the records are printed again.
/// The running server receives mail for the domain after the next `mailimg up`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  mailimg domain add example.net
  mailimg domain add example.net --json")]
pub(in crate::cli) struct Args {
    /// The domain; international names in their xn-- form
    domain: DomainName,
    /// Print a JSON object with domain, added (false if it was there) and records, an array of objects with name, type
    /// and value
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let domain = &args.domain;
    let added = domains::add(&Project::open(context.project())?, domain)?;
    context.ui().status(format!("{domain} {} mailimg.toml", if added { "was added to" } else { "is already in" }));
    let project = Project::open(context.project())?;
    for secret in secrets::init_dkim(&project)?.iter().filter(|secret| secret.made) {
        context.ui().status(format!("created {}", project.secrets_dir().join(&secret.path)));
    }
    let hostname = project.hostname("the MX record")?;
    let dkim = record(&project, domain)?;
    if args.json {
        let mx = json!({ "name": domain.as_str(), "type": "MX", "value": format!("10 {hostname}") });
        let Record { name, value } = dkim;
        let txt = json!({ "name": name, "type": "TXT", "value": value });
        context.ui().json(&json!({ "domain": domain.as_str(), "added": added, "records": [mx, txt] }))?;
    } else {
        context.ui().line(format!("{domain}. IN MX 10 {hostname}."))?;
        context.ui().line(dkim.zone_line())?;
    }
    context.ui().status("Publish these DNS records.");
    say_what_is_next(context);
    Ok(())
}
