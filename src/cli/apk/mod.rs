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
    /// Print what apk would install for some packages, in its order
    Solve(solve::Args),
    /// Print the file tree that apk would leave of some packages, their scripts not run
    Tree(tree::Args),
    /// Show what is in a package: members, fields, scripts, files
    Inspect(inspect::Args),
    /// Check signatures of packages and indexes, and that packages are what was signed
    Verify(verify::Args),
    /// Compare versions as apk does, or check that they are versions
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
