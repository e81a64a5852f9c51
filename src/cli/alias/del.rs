use crate::mail::accounts::{AliasSource, Destination};

use super::{Context, EngineArgs, Failure};

/// Delete an alias.
///
/// Without destinations, deletes the whole alias. Deleting what isn't there is no error. The server must be running.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  mailimg alias del info@example.org bob@example.net
  mailimg alias del info@example.org")]
pub(in crate::cli) struct Args {
    /// The address, or @DOMAIN
    source: AliasSource,
    /// The destinations to remove [default: all of them]
    destinations: Vec<Destination>,
    #[command(flatten)]
    engine: EngineArgs,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let accounts = args.engine.accounts(context)?;
    let source = &args.source;
    if args.destinations.is_empty() {
        let found = accounts.delete_alias(source, None)?;
        context.ui().status(if found { format!("deleted {source}") } else { format!("there is no alias {source}") });
    }
    for destination in &args.destinations {
        let news = if accounts.delete_alias(source, Some(destination))? { "no longer" } else { "not" };
        context.ui().status(format!("{source} is {news} forwarded to {destination}"));
    }
    Ok(())
}
