mod verify;

use super::{Context, Failure};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    Verify(verify::Args),
}

pub(super) fn run(command: &Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::Verify(args) => verify::run(args, context),
    }
}
