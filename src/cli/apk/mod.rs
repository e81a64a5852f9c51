//! `mailimg apk …`: apk's own answers.

mod inspect;
mod repositories;
mod solve;
mod tree;
mod verify;
mod version;

use clap::Subcommand;

use super::{Context, Failure};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Print what apk would install for the given packages, in order
    Solve(solve::Args),
    /// Print the file tree that apk would create from the given packages without running scripts
    Tree(tree::Args),
    /// Show the members, fields, scripts and files of a package
    Inspect(inspect::Args),
    /// Verify packages and indexes: signatures, and that packages match what was signed
    Verify(verify::Args),
    /// Compare versions as apk does, or check their syntax
    Version(version::Args),
}

pub(super) fn run(command: &Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::Solve(args) => solve::run(args, context),
        Command::Tree(args) => tree::run(args, context),
        Command::Inspect(args) => inspect::run(args, context),
        Command::Verify(args) => verify::run(args, context),
        Command::Version(args) => version::run(args, context),
    }
}
