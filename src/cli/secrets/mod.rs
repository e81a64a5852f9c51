mod init;
mod rotate;
mod set;

use super::{Context, Failure};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Create the passwords, keys and certificates that don't exist yet
    ///
    /// Recipes declare the secrets they need. Each becomes a file in the secrets directory, which only its owner can
    /// open. Existing files are never changed.
    Init,
    Rotate(rotate::Args),
    Set(set::Args),
}

pub(super) fn run(command: &Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::Init => init::run(context),
        Command::Rotate(args) => rotate::run(args, context),
        Command::Set(args) => set::run(args, context),
    }
}
