mod check;

use super::{Context, Failure};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Read mailimg.toml, recipes and channel, and render all templates
    Check,
}

pub(super) fn run(command: &Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::Check => check::run(context),
    }
}
