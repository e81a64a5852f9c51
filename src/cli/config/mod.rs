mod check;

use super::{Context, Failure};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    Check(check::Args),
}

pub(super) fn run(command: &Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::Check(args) => check::run(args, context),
    }
}
