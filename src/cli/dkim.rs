use crate::config::{DomainName, Project};
use crate::mail::{dkim, secrets};

use super::{Context, Failure};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The domains to show the record of [default: all of mailimg.toml]
    domains: Vec<DomainName>,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let project = Project::open(context.project())?;
    for secret in secrets::init_dkim(&project)?.iter().filter(|secret| secret.made) {
        context.ui().status(format!("made {}", project.secrets_dir().join(&secret.path)));
    }
    let domains = if args.domains.is_empty() { project.domains("`mailimg dkim`")? } else { &args.domains };
    for domain in domains {
        context.ui().line(dkim::record(&project, domain)?.zone_line())?;
    }
    Ok(())
}
