mod change;
mod delete;
mod flush;
mod list;

use super::engine::EngineArgs;
use super::{Context, Failure};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    List(list::Args),
    Flush(flush::Args),
    Hold(change::HoldArgs),
    Release(change::ReleaseArgs),
    Delete(delete::Args),
}

pub(super) fn run(command: &Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::List(args) => list::run(args, context),
        Command::Flush(args) => flush::run(args, context),
        Command::Hold(args) => change::hold(args, context),
        Command::Release(args) => change::release(args, context),
        Command::Delete(args) => delete::run(args, context),
    }
}

/// A number of mails.
pub(super) fn count(number: usize) -> String {
    if number == 1 { "1 mail".to_owned() } else { format!("{number} mails") }
}
