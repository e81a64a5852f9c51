use super::{Context, EngineArgs, Failure};
use crate::cli::complete;
use crate::config::Address;
use crate::mail::accounts::{Change, Quota};

/// Change a user's quota, or turn the user off and on.
///
/// A user who is inactive can't log in, and mail for it is refused; its mail stays. Change the password with `mailimg user
/// passwd`. The server must be running.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  mailimg user set alice@example.org --quota 5G
  mailimg user set alice@example.org --inactive")]
pub(in crate::cli) struct Args {
    /// The user's address
    #[arg(add = complete::users())]
    address: Address,
    #[command(flatten)]
    changes: Changes,
    #[command(flatten)]
    engine: EngineArgs,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = true)]
struct Changes {
    /// The mailbox's quota: bytes, 500M, 2G, unlimited, or default for limits.quota in mailimg.toml
    #[arg(long, value_name = "SIZE")]
    quota: Option<Quota>,
    /// Let the user log in and receive mail
    #[arg(long, conflicts_with = "inactive")]
    active: bool,
    /// Refuse the user's logins and mail, and disconnect its mail programs
    #[arg(long)]
    inactive: bool,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let Changes { quota, active, inactive } = args.changes;
    let change = Change { quota, active: (active || inactive).then_some(active) };
    args.engine.accounts(context)?.set_user(&args.address, change)?;
    if let Some(quota) = quota {
        context.ui().status(format!("the quota of {} is now {quota}", args.address));
    }
    if let Some(active) = change.active {
        context.ui().status(format!("{} is now {}", args.address, if active { "active" } else { "inactive" }));
    }
    Ok(())
}
