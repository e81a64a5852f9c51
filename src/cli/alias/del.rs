use crate::mail::accounts::{AliasSource, Destination};

use super::{Context, EngineArgs, Failure};

/// Delete an alias.
///
/// Without destinations, deletes the whole alias. The server must be running.
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
    if args.destinations.is_empty() {
        accounts.delete_alias(&args.source, None)?;
        context.ui().status(format!("deleted {}", args.source));
    }
    for destination in &args.destinations {
        accounts.delete_alias(&args.source, Some(destination))?;
        context.ui().status(format!("{} is no longer forwarded to {destination}", args.source));
    }
    Ok(())
}
