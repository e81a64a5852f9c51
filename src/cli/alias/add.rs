use crate::mail::accounts::{AliasSource, Destination};

use super::{Context, EngineArgs, Failure};

/// Forward mail for an address.
///
/// Adds the destinations to those that the alias already has. The server must be running.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  mailimg alias add info@example.org alice@example.org bob@example.net
  mailimg alias add @example.org alice@example.org    everything else in the domain")]
pub(in crate::cli) struct Args {
    /// The address, or @DOMAIN for all addresses of a domain that are neither a user nor an alias
    source: AliasSource,
    /// The addresses to forward to
    #[arg(required = true)]
    destinations: Vec<Destination>,
    #[command(flatten)]
    engine: EngineArgs,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let accounts = args.engine.accounts(context)?;
    for destination in &args.destinations {
        let news =
            if accounts.add_alias(&args.source, destination)? { "is now forwarded" } else { "was already forwarded" };
        context.ui().status(format!("{} {news} to {destination}", args.source));
    }
    Ok(())
}
