use super::{Context, EngineArgs, Failure};
use crate::cli::complete;
use crate::cli::password::PasswordArgs;
use crate::config::Address;
use crate::mail::password;

/// Change a user's password.
///
/// Prompts for the new password, and disconnects the mail programs that logged in with the old one. The server must be
/// running.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  mailimg user passwd alice@example.org
  mailimg user passwd alice@example.org --password-stdin <password-file")]
pub(in crate::cli) struct Args {
    /// The user's address
    #[arg(add = complete::users())]
    address: Address,
    #[command(flatten)]
    password: PasswordArgs,
    #[command(flatten)]
    engine: EngineArgs,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let accounts = args.engine.accounts(context)?;
    let hash = password::hash(&args.password.read_new()?)?;
    accounts.set_password(&args.address, &hash)?;
    context.ui().status(format!("{} has a new password", args.address));
    Ok(())
}
