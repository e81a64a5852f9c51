use super::{Context, EngineArgs, Failure};

/// List the users.
///
/// Prints one user per line: address, quota, and `inactive` if the user can't log in or receive mail. The server must
/// be running.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Print a JSON array of objects with address, quota (bytes; 0: unlimited, null: default) and active
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    engine: EngineArgs,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let users = args.engine.accounts(context)?.users()?;
    if args.json {
        return context.ui().json(&users);
    }
    for user in users {
        let state = if user.active { "" } else { "\tinactive" };
        context.ui().line(format!("{}\t{}{state}", user.address, user.quota()))?;
    }
    Ok(())
}
