mod expunge;
mod list;
mod repair;

use super::engine::EngineArgs;
use super::queue::count;
use super::{Context, Failure};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    List(list::Args),
    Expunge(expunge::Args),
    Repair(repair::Args),
}

pub(super) fn run(command: &Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::List(args) => list::run(args, context),
        Command::Expunge(args) => expunge::run(args, context),
        Command::Repair(args) => repair::run(args, context),
    }
}
