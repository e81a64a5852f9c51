use crate::config::{Address, DomainName, Project};
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
    let project = Project::open(context.project())?;
    let (site, hostname) = (project.site_file(), &options.hostname);
    context
        .ui()
        .status(format!("{site} is for {hostname} at {domain}: review it, then run\n{}", steps(&project, &options)));
    Ok(())
}

/// The commands that lead to a running server, as in the README.
fn steps(project: &Project, options: &Options) -> String {
    let program = match project.root().as_str() {
        "." => "mailimg".to_owned(),
        root => format!("mailimg -C {root}"),
    };
    let import = project.channel().import.map(|_| "repo import-debian".to_owned());
    let user = format!("user add {}", options.postmaster);
    let steps = import.into_iter().chain(["up".to_owned(), user, "dkim".to_owned()]);
    steps.map(|step| format!("  {program} {step}")).collect::<Vec<_>>().join("\n")
}
