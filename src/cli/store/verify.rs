use serde_json::{Value, json};

use super::{Context, Failure};
use crate::cli::exit::Exit;
use crate::store::{Problem, remove, verify};

/// Read everything in the store again and report what has changed.
///
/// The store keeps packages and layers in the cache directory under the SHA-256 of their content. A build notices files
/// that were written to or replaced, by their inode, size and times, but doesn't read them. This command does, so it
/// also finds what a broken disk has changed. Exits with 1 if something has changed. Layouts share blobs with the store:
/// delete those written since the damage.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Remove what has changed; it is fetched or built again when needed
    #[arg(long)]
    remove: bool,
    /// Print a JSON array of objects with path and found, the SHA-256 of the content (null: not a file of the store)
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let problems = verify(&context.store()?)?;
    if args.json {
        context.ui().json(&problems.iter().map(object).collect::<Vec<_>>())?;
    } else {
        context.ui().write(problems.iter().map(line).collect::<String>().as_bytes())?;
    }
    if problems.is_empty() {
        return Ok(());
    }
    let message = match problems.len() {
        1 => "1 file in the store has changed".to_owned(),
        count => format!("{count} files in the store have changed"),
    };
    if args.remove {
        problems.iter().try_for_each(remove)?;
        context.ui().status(format!("{message}: removed"));
        return Ok(());
    }
    let hint = "use --remove to remove them; they are fetched or built again when needed";
    Err(Failure::told(Exit::No, message).hint(hint))
}

fn line(Problem { path, found }: &Problem) -> String {
    match found {
        Some(found) => format!("{path}: SHA-256 is {found}\n"),
        None => format!("{path}: doesn't belong in the store\n"),
    }
}

fn object(Problem { path, found }: &Problem) -> Value {
    json!({ "path": path, "found": found.map(|found| found.to_string()) })
}
