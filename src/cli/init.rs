use crate::config::{Address, DomainName};
use crate::mail::init::{Options, init};

use super::{Context, Failure};

/// Create a project for a mail domain.
///
/// Writes mailimg.toml, recipes, image files and channels into the project directory, which is created if necessary.
/// Never changes existing files: if one of them is in the way, nothing is written.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  mailimg -C mail init example.org
  mailimg -C mail init example.org --hostname mx1.example.org --postmaster ops@example.org")]
pub(super) struct Args {
    /// The mail domain, such as example.org
    domain: DomainName,
    /// The server's own name, as other servers see it [default: mail.DOMAIN]
    #[arg(long, value_name = "NAME")]
    hostname: Option<DomainName>,
    /// The address that receives mail for postmaster@ and abuse@ [default: admin@DOMAIN]
    #[arg(long, value_name = "ADDRESS")]
    postmaster: Option<Address>,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let domain = &args.domain;
    // The prefix may make the name too long.
    let hostname = args.hostname.clone().map_or_else(|| format!("mail.{domain}").parse(), Ok)?;
    let postmaster = args.postmaster.clone().map_or_else(|| format!("admin@{domain}").parse(), Ok)?;
    let options = Options { domain: domain.clone(), hostname, postmaster };
    init(context.project(), &options)?;
    context.ui().status(format!(
        "{}/mailimg.toml is for {} at {domain}: review it, then run\n  mailimg secrets init\n  mailimg build\n  \
         mailimg load\n  mailimg compose\n  docker compose up -d\n  mailimg user add {}",
        context.project(),
        options.hostname,
        options.postmaster
    ));
    Ok(())
}
