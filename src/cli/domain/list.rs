use std::collections::BTreeMap;

use serde::Serialize;

use super::{Context, EngineArgs, Failure};
use crate::config::{DomainName, Project};
use crate::mail::dkim::key_path;

/// List the site's domains.
///
/// Prints one domain per line: its name, the number of its users (- if the database isn't running or doesn't know the
/// domain yet), `primary` for the first, and `no-dkim-key` if its mail can't be signed.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Print a JSON array of objects with domain, primary, dkim_key (whether there is one) and users (their number, or
    /// null)
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    engine: EngineArgs,
}

#[derive(Serialize)]
struct Line<'a> {
    #[serde(rename = "domain")]
    name: &'a str,
    primary: bool,
    dkim_key: bool,
    users: Option<u64>,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let project = Project::open(context.project())?;
    let site = project.site();
    let users = count_users(args, context);
    let numbered = site.domains.iter().enumerate();
    let domains: Vec<Line<'_>> =
        numbered.map(|(position, domain)| describe(&project, position, domain, &users)).collect();
    if args.json {
        return context.ui().json(&domains);
    }
    domains.iter().try_for_each(|it| {
        let users = it.users.map_or_else(|| "-".to_owned(), |users| users.to_string());
        let primary = if it.primary { "\tprimary" } else { "" };
        let key = if it.dkim_key { "" } else { "\tno-dkim-key" };
        context.ui().line(format!("{}\t{users}{primary}{key}", it.name))
    })
}

fn describe<'a>(project: &Project, position: usize, domain: &'a DomainName, users: &BTreeMap<String, u64>) -> Line<'a> {
    let key = project.secrets_dir().join(key_path(&project.site().dkim.selector, domain));
    let users = users.get(domain.as_str()).copied();
    Line { name: domain.as_str(), primary: position == 0, dkim_key: key.exists(), users }
}

/// None if the stack isn't running: the list is useful without, too.
fn count_users(args: &Args, context: &Context) -> BTreeMap<String, u64> {
    let count = || Ok::<_, Failure>(args.engine.accounts(context)?.users_by_domain()?);
    count().unwrap_or_else(|failure| {
        let reason = failure.messages().join(": ");
        context.ui().status(format!("users are not counted: {reason}"));
        BTreeMap::new()
    })
}
