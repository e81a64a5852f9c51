use crate::mail::accounts::{AliasSource, Destination};

use super::{Context, EngineArgs, Failure};

/// Forward mail for an address.
///
/// Adds the destinations to those that the alias already has. Refuses destinations from which mail would come back to the
/// alias, and warns of those at which nobody receives mail. An alias takes precedence over a user of the same name, who
/// gets a copy only if its own address is among the destinations. The server must be running.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  mailimg alias add info@example.org alice@example.org bob@example.net
  mailimg alias add @example.org alice@example.org    everything else in the domain
  mailimg alias add bob@example.org bob@example.org team@example.net    bob keeps a copy")]
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
    let source = &args.source;
    let added = args.engine.accounts(context)?.add_alias(source, &args.destinations)?;
    for (destination, is_new) in &added.destinations {
        let news = if *is_new { "is now forwarded" } else { "was already forwarded" };
        context.ui().status(format!("{source} {news} to {destination}"));
    }
    for destination in &added.dead_ends {
        context.ui().warning(format!("nobody receives mail for {destination}: no active user or alias has that name"));
    }
    if added.hides_user {
        context.ui().warning(format!(
            "the user {source} no longer gets this mail. To leave a copy in the mailbox, run `mailimg alias add {source} \
             {source}`"
        ));
    }
    Ok(())
}
