use std::collections::BTreeSet;

use crate::config::Project;
use crate::mail::secrets;

use super::{Context, Failure};

/// Replace passwords and internal certificates with new ones
///
/// Replaces one secret that the recipes declare, or all of them. A new authority comes with new certificates for all
/// services. Running services keep the old ones until they start again: `mailimg up` restarts exactly the services
/// concerned. Mail and users stay. While they restart, the server answers that mail be sent again later.
///
/// The site's own certificate and its DKIM keys are not replaced: clients trust the one, and the DNS names the others.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  mailimg secrets rotate                      all
  mailimg secrets rotate database-password    one
  mailimg up                                  make them take effect")]
pub(in crate::cli) struct Args {
    /// The secret, by its name in the recipes [default: all]
    name: Option<String>,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let project = Project::open(context.project())?;
    let replaced = secrets::rotate(&project, args.name.as_deref())?;
    let ui = context.ui();
    for secret in &replaced {
        ui.status(format!("replaced {}", project.secrets_dir().join(&secret.path)));
    }
    let is_replaced = |name: &str| replaced.iter().any(|secret| secret.path == name);
    let concerned = project.secrets().into_iter().filter(|secret| is_replaced(secret.name.as_str()));
    let services: BTreeSet<&str> = concerned.flat_map(|secret| secret.images).collect();
    let services: Vec<&str> = services.into_iter().collect();
    if !services.is_empty() {
        ui.status(format!("next: `mailimg up` restarts the services that use them: {}", services.join(", ")));
    }
    Ok(())
}
