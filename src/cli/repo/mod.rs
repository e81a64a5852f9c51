//! `mailimg repo …`: makes repositories.

mod import_debian;
mod index;
mod key;
mod sign;

use clap::Subcommand;

use super::{Context, Failure};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Key(key::Args),
    Index(index::Args),
    Sign(sign::Args),
    ImportDebian(import_debian::Args),
}

pub(super) fn run(command: &Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::Key(args) => key::run(args, context),
        Command::Index(args) => index::run(args, context),
        Command::Sign(args) => sign::run(args, context),
        Command::ImportDebian(args) => import_debian::run(args, context),
    }
}
