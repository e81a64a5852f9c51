use clap::CommandFactory;
use clap_complete::Shell;

use super::{Cli, Context, Failure};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The shell to complete for
    shell: Shell,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "mailimg", &mut script);
    context.ui().write(&script)
}
