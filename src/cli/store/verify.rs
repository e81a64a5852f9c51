use std::io;

use super::{Context, Failure};
use crate::cli::exit::Exit;
use crate::store::{Problem, remove, verify};

#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Packages and layers lie in the store, in the cache directory, under the SHA-256 of their content. It is checked when they come in, and not at each build. Exits with 1 if something has changed since, by a broken disk or \
by someone's hand. Layouts share their blobs with the store: delete those that were written since the damage.")]
pub(in crate::cli) struct Args {
    /// Remove what has changed, so that it is fetched or made again when it is needed
    #[arg(long)]
    remove: bool,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let problems = verify(&context.store()?)?;
    let line = |Problem { path, found }: &Problem| match found {
        Some(found) => format!("{path}: SHA-256 is {found}\n"),
        None => format!("{path}: not a file of the store\n"),
    };
    context.ui().write(problems.iter().map(line).collect::<String>().as_bytes())?;
    if problems.is_empty() {
        return Ok(());
    }
    let message = format!("{} files in the store are not what they were", problems.len());
    if args.remove {
        problems.iter().try_for_each(remove)?;
        context.ui().status(format!("{message}: removed"));
        return Ok(());
    }
    let hint = "with --remove they are removed, and fetched or made again when they are needed";
    Err(Failure::new(Exit::No, &io::Error::other(message)).hint(hint))
}
