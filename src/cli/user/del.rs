use crate::config::Address;

use super::{Context, EngineArgs, Failure};

/// Delete a user.
///
/// Keeps the user's mail unless --purge is given; a user created later under the same name gets it. Keeps aliases that
/// point to the user, and lists them. The server must be running.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  mailimg user del alice@example.org
  mailimg user del alice@example.org --purge")]
pub(in crate::cli) struct Args {
    /// The user's address
    address: Address,
    /// Also delete the user's mail
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
        context.ui().warning(format!("the alias {} still points to {}", alias.source, alias.destination));
    }
    Ok(())
}
