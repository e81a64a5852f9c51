use serde_json::json;

use super::{Context, EngineArgs, Failure, count};
use crate::cli::complete;
use crate::cli::confirm::confirm;
use crate::cli::time::ago;
use crate::config::Address;
use crate::timestamp::Timestamp;

/// Delete old mail from a user's folder.
///
/// What counts is how long a mail has been in the folder, not the date in its header: a mail from last year that the
/// user moved to Trash today stays. Asks before it deletes anything. The user must be active and the server running.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  mailimg mailbox expunge alice@example.org Junk --older-than 30d
  mailimg mailbox expunge alice@example.org Trash --older-than 90d --yes")]
pub(in crate::cli) struct Args {
    /// The user's address
    #[arg(add = complete::users())]
    user: Address,
    /// The folder, as `mailimg mailbox list` prints it
    folder: String,
    /// Delete mail that has been in the folder for longer than this, such as 30d or 12h, or since before a time
    #[arg(long, value_name = "TIME", value_parser = ago)]
    older_than: Timestamp,
    /// Delete without asking
    #[arg(long)]
    yes: bool,
    /// Print a JSON object with deleted, the number of mails
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    engine: EngineArgs,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let Args { user, folder, older_than, .. } = args;
    let accounts = args.engine.accounts(context)?;
    let old = accounts.count_old(user, folder, *older_than)?;
    let mails = count(old);
    if old > 0 {
        if !args.yes {
            confirm(&format!("Delete {mails} in {folder} of {user}?"), context)?;
        }
        accounts.delete_old(user, folder, *older_than)?;
    }
    if args.json {
        return context.ui().json(&json!({ "deleted": old }));
    }
    context.ui().status(format!("{mails} deleted from {folder} of {user}"));
    Ok(())
}
