use crate::config::Address;

use super::{Context, EngineArgs, Failure};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The user's address
    address: Address,
    /// Delete the user's mail, too
    #[arg(long)]
    purge: bool,
    #[command(flatten)]
    engine: EngineArgs,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let accounts = args.engine.accounts(context)?;
    let aliases = accounts.delete_user(&args.address)?;
    if args.purge {
        accounts.purge(&args.address)?;
    }
    let mail = if args.purge { "and all mail" } else { "and kept the mail" };
    context.ui().status(format!("deleted {} {mail}", args.address));
    for alias in aliases {
        context.ui().warning(format!("the alias {} still leads to {}", alias.source, alias.destination));
    }
    Ok(())
}
