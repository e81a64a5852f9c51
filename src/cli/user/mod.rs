mod add;
mod del;
mod list;
mod passwd;
mod set;

use super::engine::EngineArgs;
use super::{Context, Failure};
use crate::mail::accounts::Routes;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    Add(add::Args),
    List(list::Args),
    Set(set::Args),
    Passwd(passwd::Args),
    Del(del::Args),
}

pub(super) fn run(command: &Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::Add(args) => add::run(args, context),
        Command::List(args) => list::run(args, context),
        Command::Set(args) => set::run(args, context),
        Command::Passwd(args) => passwd::run(args, context),
        Command::Del(args) => del::run(args, context),
    }
}

/// Every domain must have these addresses (RFC 2142).
fn warn_about_postmaster(routes: &Routes, context: &Context) {
    if let Some(address) = routes.missing_postmaster() {
        context.ui().warning(format!(
            "nobody receives mail for {address}, so mail to postmaster@ and abuse@ is refused: run `mailimg user add \
             {address}`, or set another `postmaster` in mailimg.toml"
        ));
    }
}
