//! Arguments, progress and errors. One file a command; no logic of its own.

mod completions;
mod context;
mod exit;
mod failure;
mod ui;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use context::{Context, GlobalArgs};
use failure::Failure;

/// Builds reproducible OCI images from pinned Alpine packages, and the mail server made of them.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, after_help = exit::HELP)]
struct Cli {
    #[command(flatten)]
    global: GlobalArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print a shell's completion script
    Completions(completions::Args),
}

/// Runs the program on the process's own arguments and returns its exit code.
#[must_use]
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let context = Context::new(&cli.global);
    match dispatch(cli.command, &context) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            context.ui().failure(&failure);
            failure.code().into()
        }
    }
}

fn dispatch(command: Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::Completions(args) => completions::run(&args, context),
    }
}
