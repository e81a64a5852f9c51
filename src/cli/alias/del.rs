use crate::mail::accounts::{AliasSource, Destination};

use super::{Context, EngineArgs, Failure};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The address, or @DOMAIN
    source: AliasSource,
    /// Where mail shall no longer go [default: to none of its destinations]
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
        context.ui().status(format!("{} no longer goes to {destination}", args.source));
    }
    Ok(())
}
