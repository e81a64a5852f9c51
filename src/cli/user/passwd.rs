use crate::config::Address;
use crate::mail::password;

use super::{Context, EngineArgs, Failure, prompt};

/// Change a user's password.
///
/// Prompts for the new password. The server must be running.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  mailimg user passwd alice@example.org")]
pub(in crate::cli) struct Args {
    /// The user's address
    address: Address,
    /// Read the password from the first line of standard input
    #[arg(long)]
    password_stdin: bool,
    #[command(flatten)]
    engine: EngineArgs,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let accounts = args.engine.accounts(context)?;
    let hash = password::hash(&prompt::password(args.password_stdin)?)?;
    accounts.set_password(&args.address, &hash)?;
    context.ui().status(format!("{} has a new password", args.address));
    Ok(())
}
