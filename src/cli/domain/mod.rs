mod add;
mod del;
mod list;

use super::engine::EngineArgs;
use super::{Context, Failure};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    Add(add::Args),
    List(list::Args),
    Del(del::Args),
}

pub(super) fn run(command: &Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::Add(args) => add::run(args, context),
        Command::List(args) => list::run(args, context),
        Command::Del(args) => del::run(args, context),
    }
}

/// The list of domains is part of the images.
fn say_what_is_next(context: &Context) {
    context.ui().status("The running server changes with the next `mailimg up`.");
}
