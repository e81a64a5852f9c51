use super::{Context, EngineArgs, Failure};
use crate::cli::complete;
use crate::config::Address;

/// Repair a user's mailbox.
///
/// Rebuilds Dovecot's indexes from the mails that are there, and recalculates how much of the quota they take. This helps
/// after mail was restored from a backup, or changed on the disk, and where folders show mails that can't be opened. It
/// deletes no mail. The user must be active and the server running.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  mailimg mailbox repair alice@example.org")]
pub(in crate::cli) struct Args {
    /// The user's address
    #[arg(add = complete::users())]
    user: Address,
    #[command(flatten)]
    engine: EngineArgs,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    args.engine.accounts(context)?.repair(&args.user)?;
    context.ui().status(format!("repaired the mailbox of {}", args.user));
    Ok(())
}
