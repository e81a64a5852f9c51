use crate::cli::password::PasswordArgs;
use crate::config::Project;
use crate::mail::secrets;

use super::{Context, Failure};

/// Store a password that somebody else gave you
///
/// This is for the secrets that recipes declare as "given", such as the password for a relay host. Prompts for the
/// password. Running services start to use it with the next `mailimg up`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  mailimg secrets set relay-password
  mailimg secrets set relay-password --password-file /root/relay-password")]
pub(in crate::cli) struct Args {
    /// The secret, by its name in the recipes
    name: String,
    #[command(flatten)]
    password: PasswordArgs,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let project = Project::open(context.project())?;
    let path = secrets::set(&project, &args.name, args.password.read_new()?)?;
    context.ui().status(format!("stored {path}"));
    context.ui().status("next: `mailimg up` restarts the services that use it");
    Ok(())
}
