use crate::mail::accounts::{AliasSource, Destination};

use super::{Context, EngineArgs, Failure};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The address, or @DOMAIN for all of a domain's addresses that are nothing else
    source: AliasSource,
    /// Where its mail goes
    #[arg(required = true)]
    destinations: Vec<Destination>,
    #[command(flatten)]
    engine: EngineArgs,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let accounts = args.engine.accounts(context)?;
    for destination in &args.destinations {
        let news = if accounts.add_alias(&args.source, destination)? { "now goes" } else { "went already" };
        context.ui().status(format!("{} {news} to {destination}", args.source));
    }
    Ok(())
}
