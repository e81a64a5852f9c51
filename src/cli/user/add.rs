use crate::config::Address;
use crate::mail::accounts::Quota;
use crate::mail::password;

use super::{Context, EngineArgs, Failure, prompt};

/// Add a user: a mailbox and a login.
///
/// Prompts for the password and stores it as a bcrypt hash. The server must be running; the user can log in and receive
/// mail at once.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  mailimg user add alice@example.org
  mailimg user add bob@example.org --quota 2G --password-stdin <password-file")]
pub(in crate::cli) struct Args {
    /// The user's address, which is also the login name
    address: Address,
    /// The mailbox's quota: bytes, 500M, 2G, unlimited, or default for limits.quota in mailimg.toml
    #[arg(long, value_name = "SIZE", default_value = "default")]
    quota: Quota,
    /// Read the password from the first line of standard input
    #[arg(long)]
    password_stdin: bool,
    #[command(flatten)]
    engine: EngineArgs,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let accounts = args.engine.accounts(context)?;
    let hash = password::hash(&prompt::password(args.password_stdin)?)?;
    accounts.add_user(&args.address, &hash, args.quota)?;
    context.ui().status(format!("added {}", args.address));
    Ok(())
}
