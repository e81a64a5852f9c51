use super::{Context, EngineArgs, Failure, warn_about_postmaster};
use crate::mail::accounts::{Usage, User};

/// List the users.
///
/// Prints one user per line: address, quota, with --usage the size of the mailbox and its number of mails (- for a user
/// who can't log in), and, for a user who can't log in or receive mail, `inactive`, or `resting` if the domain has been
/// removed from the site. The server must be running.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  mailimg user list
  mailimg user list --usage
  mailimg user list --json | jq -r '.[] | select(.active | not) | .address'")]
pub(in crate::cli) struct Args {
    /// Also ask Dovecot what each mailbox holds. It opens all of them, some hundred per second
    #[arg(long)]
    usage: bool,
    /// Print a JSON array of objects with address, quota (bytes; 0: unlimited, null: default), active and resting, and
    /// with --usage used (bytes) and messages, which inactive and resting users lack
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    engine: EngineArgs,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let accounts = args.engine.accounts(context)?;
    let mut users = accounts.users()?;
    if args.usage {
        let usage = accounts.usage()?;
        for user in &mut users {
            user.usage = usage.get(&user.address).copied();
        }
    }
    if args.json {
        context.ui().json(&users)?;
    } else {
        users.iter().try_for_each(|user| context.ui().line(line(user, args.usage)))?;
    }
    // The owner of a new server knows.
    if !users.is_empty() {
        warn_about_postmaster(&accounts.routes()?, context);
    }
    Ok(())
}

fn line(user: &User, with_usage: bool) -> String {
    let usage = match user.usage {
        _ if !with_usage => String::new(),
        None => "\t-\t-".to_owned(),
        Some(Usage { used, messages }) => format!("\t{used}\t{messages}"),
    };
    let state = match (user.active, user.resting) {
        (false, _) => "\tinactive",
        (true, true) => "\tresting",
        (true, false) => "",
    };
    format!("{}\t{}{usage}{state}", user.address, user.quota())
}
