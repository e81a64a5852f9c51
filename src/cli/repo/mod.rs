//! `mailimg repo …`: makes repositories.

mod import_debian;
mod index;
mod key;
mod sign;

use clap::Subcommand;

use super::{Context, Failure};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a key pair to sign packages and indexes with
    Key(key::Args),
    /// Write the index of a folder of packages
    Index(index::Args),
    /// Sign packages and indexes, in place of the signatures that they have
    Sign(sign::Args),
    /// Make a signed repository out of Debian packages, for a channel that is imported
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
