use super::{Context, EngineArgs, Failure, count};
use crate::mail::queue::QueueId;

/// Try to deliver deferred mail now.
///
/// Postfix would try again by itself, at growing intervals. The server must be running.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  mailimg queue flush
  mailimg queue flush 3F1A2DA1CE")]
pub(in crate::cli) struct Args {
    /// The mails to try [default: all that are deferred]
    #[arg(value_name = "ID")]
    ids: Vec<QueueId>,
    #[command(flatten)]
    engine: EngineArgs,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    args.engine.queue(context)?.flush(&args.ids)?;
    let which = if args.ids.is_empty() { "all deferred mail".to_owned() } else { count(args.ids.len()) };
    context.ui().status(format!("trying to deliver {which}"));
    Ok(())
}
