use camino::Utf8PathBuf;
use clap::CommandFactory;

use super::{Cli, Context, Failure};

/// Write man pages, one for each command.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  mailimg man ~/.local/share/man/man1 && man mailimg-up")]
pub(super) struct Args {
    /// The directory to write to, which is created if necessary
    directory: Utf8PathBuf,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    fs_err::create_dir_all(&args.directory)?;
    clap_mangen::generate_to(Cli::command(), &args.directory)?;
    context.ui().status(format!("wrote mailimg.1 and a page for each command to {}", args.directory));
    Ok(())
}
