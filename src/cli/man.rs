use camino::{Utf8Path, Utf8PathBuf};
use clap::{Command, CommandFactory};
use clap_mangen::Man;

use super::{Cli, Context, Failure};
use crate::store::write_atomic;

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
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    write(command, &args.directory)?;
    context.ui().status(format!("wrote mailimg.1 and a page for each command to {}", args.directory));
    Ok(())
}

/// Writes the pages of a command and of those below it.
fn write(command: Command, directory: &Utf8Path) -> Result<(), Failure> {
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        write(below.clone(), directory)?;
    }
    let man = Man::new(command);
    let mut page = Vec::new();
    man.render(&mut page)?;
    Ok(write_atomic(&directory.join(man.get_filename()), page, 0o644)?)
}
