use super::{Context, Failure, accounts};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Print a JSON array of objects with address, quota (bytes; 0 is unlimited, null the default) and active
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let users = accounts::open(context)?.users()?;
    if args.json {
        return context.ui().json(&users);
    }
    for user in users {
        let state = if user.active { "" } else { "\tinactive" };
        context.ui().line(format!("{}\t{}{state}", user.address, user.quota()))?;
    }
    Ok(())
}
