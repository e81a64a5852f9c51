use super::{Context, EngineArgs, Failure, warn_about_postmaster};
use crate::cli::complete;
use crate::cli::confirm::confirm;
use crate::config::Address;

/// Delete a user.
///
/// Keeps the user's mail unless --purge is given; a user created later under the same name gets it. Keeps aliases that
/// point to the user, and lists them. Deleting a user who isn't there is no error: with --purge, it deletes mail that an
/// earlier user left. The server must be running.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  mailimg user del alice@example.org
  mailimg user del alice@example.org --purge --yes")]
pub(in crate::cli) struct Args {
    /// The user's address
    #[arg(add = complete::users())]
    address: Address,
    /// Also delete the user's mail
    #[arg(long)]
    purge: bool,
    /// Delete mail without asking
    #[arg(long, requires = "purge")]
    yes: bool,
    #[command(flatten)]
    engine: EngineArgs,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let accounts = args.engine.accounts(context)?;
    let address = &args.address;
    if args.purge && !args.yes {
        confirm(&format!("Delete all mail of {address}?"), context)?;
    }
    let (deleted, aliases) = accounts.delete_user(address)?;
    if args.purge {
        accounts.purge(address)?;
    }
    context.ui().status(match (deleted, args.purge) {
        (true, false) => format!("deleted {address} and kept the mail"),
        (true, true) => format!("deleted {address} and all mail"),
        (false, false) => format!("there is no user {address}: nothing to do"),
        (false, true) => format!("there is no user {address}; deleted mail of that name"),
    });
    for alias in aliases {
        context.ui().warning(format!("the alias {} still points to {}", alias.source, alias.destination));
    }
    if deleted {
        warn_about_postmaster(&accounts.routes()?, context);
    }
    Ok(())
}
