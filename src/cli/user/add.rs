use crate::config::Address;
use crate::mail::accounts::Quota;
use crate::mail::password;

use super::{Context, EngineArgs, Failure, prompt};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The user's address, which is also the login
    address: Address,
    /// How much the mailbox may hold: bytes, 500M, 2G, unlimited, or default for limits.quota of mailimg.toml
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
