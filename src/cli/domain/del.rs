use super::{Context, Failure, say_what_is_next};
use crate::cli::complete;
use crate::config::{DomainName, Project};
use crate::mail::domains;

/// Take a domain out of the site.
///
/// Removes it from `domains` in mailimg.toml. After the next `mailimg up`, the server no longer receives mail for the
/// domain, and its users can neither log in nor send. Its users, aliases, mail and DKIM key stay, and work again once
/// the domain is added again.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  mailimg domain del example.net")]
pub(in crate::cli) struct Args {
    /// The domain
    #[arg(add = complete::domains())]
    domain: DomainName,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let project = Project::open(context.project())?;
    let domain = &args.domain;
    if !domains::remove(&project, domain)? {
        context.ui().status(format!("{domain} is not in mailimg.toml: nothing to do"));
        return Ok(());
    }
    context.ui().status(format!(
        "{domain} was taken out of mailimg.toml. Its users, aliases, mail and DKIM key stay, and work again if it returns."
    ));
    say_what_is_next(context);
    Ok(())
}
