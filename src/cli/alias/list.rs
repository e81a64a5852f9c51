use super::{Context, EngineArgs, Failure};

/// List the aliases.
///
/// Prints one destination per line, after the address that is forwarded to it. The server must be running.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Print a JSON array of objects with source and destination
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    engine: EngineArgs,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let aliases = args.engine.accounts(context)?.aliases()?;
    if args.json {
        return context.ui().json(&aliases);
    }
    for alias in aliases {
        context.ui().line(format!("{}\t{}", alias.source, alias.destination))?;
    }
    Ok(())
}
