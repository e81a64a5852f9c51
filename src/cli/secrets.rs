mod init;

use super::{Context, Failure};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Make the passwords, keys and certificates that are not there yet
    Init,
}

pub(super) fn run(command: &Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::Init => init::run(context),
    }
}
