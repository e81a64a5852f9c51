use super::change::{Which, change};
use super::{Context, EngineArgs, Failure};
use crate::cli::confirm::confirm;
use crate::mail::queue::Action;

/// Delete mail from the queue.
///
/// Neither the sender nor the recipients are told. The server must be running.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  mailimg queue delete 3F1A2DA1CE
  mailimg queue delete --all --yes")]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    which: Which,
    /// Delete all mail without asking
    #[arg(long, requires = "all")]
    yes: bool,
    #[command(flatten)]
    engine: EngineArgs,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    if args.which.all && !args.yes {
        confirm("Delete all mail in the queue?", context)?;
    }
    change(Action::Delete, "deleted", &args.which, &args.engine, context)
}
