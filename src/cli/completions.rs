use clap::CommandFactory;
use clap_complete::Shell;

use super::{Cli, Context, Failure};

/// Print a completion script for a shell.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  mailimg completions bash >~/.local/share/bash-completion/completions/mailimg
  mailimg completions zsh >\"${fpath[1]}/_mailimg\"")]
pub(super) struct Args {
    /// The shell to complete for
    shell: Shell,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "mailimg", &mut script);
    context.ui().write(&script)
}
