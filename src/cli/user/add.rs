use super::{Context, EngineArgs, Failure, warn_about_postmaster};
use crate::cli::password::PasswordArgs;
use crate::config::Address;
use crate::mail::accounts::{Accounts, AccountsError, Quota};
use crate::mail::password;

/// Add a user: a mailbox and a login.
///
/// Prompts for the password and stores it as a bcrypt hash. The server must be running; the user can log in and receive
/// mail at once. Exits with 1, and changes nothing, if the user already exists.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  mailimg user add alice@example.org
  mailimg user add bob@example.org --quota 2G --password-stdin <password-file
  mailimg user add carol@example.org --password-file /dev/fd/3 3< <(pass show carol)")]
pub(in crate::cli) struct Args {
    /// The user's address, which is also the login name
    address: Address,
    /// The mailbox's quota: bytes, 500M, 2G, unlimited, or default for limits.quota in mailimg.toml
    #[arg(long, value_name = "SIZE", default_value = "default")]
    quota: Quota,
    #[command(flatten)]
    password: PasswordArgs,
    #[command(flatten)]
    engine: EngineArgs,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let accounts = args.engine.accounts(context)?;
    let address = &args.address;
    if accounts.has_user(address)? {
        return Err(AccountsError::UserExists { address: address.clone() }.into());
    }
    let hash = password::hash(&args.password.read_new()?)?;
    accounts.add_user(address, &hash, args.quota)?;
    context.ui().status(format!("added {address}"));
    tell_of_old_mail(&accounts, address, context);
    let routes = accounts.routes()?;
    if let Some(destinations) = routes.alias_instead_of(&address.to_string()) {
        context.ui().warning(format!(
            "mail to {address} goes to {} instead, because there is an alias of the same name. To leave a copy in the \
             mailbox, run `mailimg alias add {address} {address}`",
            destinations.join(", ")
        ));
    }
    warn_about_postmaster(&routes, context);
    Ok(())
}

/// The user is there already, so no failure here is one of the command.
fn tell_of_old_mail(accounts: &Accounts, address: &Address, context: &Context) {
    let told = match accounts.has_mail(address) {
        Ok(false) => return,
        Ok(true) => format!(
            "{address} takes over the mailbox of an earlier user of that name, with its mail and Sieve scripts. To remove \
             it, run `mailimg user del {address} --purge`, and add the user again"
        ),
        Err(error) => format!("can't tell whether an earlier {address} left mail: {error}"),
    };
    context.ui().warning(told);
}
