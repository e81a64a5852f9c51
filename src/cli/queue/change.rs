use super::{Context, EngineArgs, Failure, count};
use crate::mail::queue::{Action, QueueId};

/// Put mail on hold.
///
/// Postfix doesn't try to deliver it until it is released. The server must be running.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  mailimg queue hold 3F1A2DA1CE
  mailimg queue hold --all")]
pub(in crate::cli) struct HoldArgs {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    engine: EngineArgs,
}

/// Release mail that is on hold.
///
/// Postfix then delivers it as any other. The server must be running.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  mailimg queue release 3F1A2DA1CE
  mailimg queue release --all")]
pub(in crate::cli) struct ReleaseArgs {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    engine: EngineArgs,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(super) struct Which {
    /// The mails, as `mailimg queue list` names them
    #[arg(value_name = "ID")]
    pub(super) ids: Vec<QueueId>,
    /// All mail in the queue
    #[arg(long)]
    pub(super) all: bool,
}

pub(super) fn hold(args: &HoldArgs, context: &Context) -> Result<(), Failure> {
    change(Action::Hold, "put on hold", &args.which, &args.engine, context)
}

pub(super) fn release(args: &ReleaseArgs, context: &Context) -> Result<(), Failure> {
    change(Action::Release, "released", &args.which, &args.engine, context)
}

pub(super) fn change(
    action: Action,
    done: &str,
    which: &Which,
    engine: &EngineArgs,
    context: &Context,
) -> Result<(), Failure> {
    let queue = engine.queue(context)?;
    let number = if which.all {
        queue.change_all(action)?
    } else {
        queue.change(action, &which.ids)?;
        which.ids.len()
    };
    context.ui().status(format!("{} {done}", count(number)));
    Ok(())
}
