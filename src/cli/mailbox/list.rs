use super::{Context, EngineArgs, Failure};
use crate::cli::complete;
use crate::config::Address;
use crate::mail::accounts::Folder;
use crate::printable;

/// List a user's folders.
///
/// Prints one folder per line: name, number of mails, and size in bytes. Leaves out folders that nobody has used yet. The
/// user must be active and the server running.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  mailimg mailbox list alice@example.org
  mailimg mailbox list alice@example.org --json | jq -r '.[] | select(.size > 1e9) | .name'")]
pub(in crate::cli) struct Args {
    /// The user's address
    #[arg(add = complete::users())]
    user: Address,
    /// Print a JSON array of objects with name, messages and size (bytes)
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    engine: EngineArgs,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let folders = args.engine.accounts(context)?.folders(&args.user)?;
    if args.json {
        return context.ui().json(&folders);
    }
    for Folder { name, messages, size } in &folders {
        // Users choose the names.
        context.ui().line(format!("{}\t{messages}\t{size}", printable::field(name)))?;
    }
    Ok(())
}
