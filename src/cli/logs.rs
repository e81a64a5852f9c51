use std::fmt::Write as _;

use super::engine::EngineArgs;
use super::{Context, Failure};
use crate::config::Project;
use crate::engine::{LogLine, Logs};

/// Show what the services have logged.
///
/// Prints all lines of all services in one order, by time (UTC), so that a mail can be followed from one to the next. With
/// --follow, prints lines as they come, until it is interrupted.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  mailimg logs --since 1h
  mailimg logs postfix dovecot --since 2026-11-26T10:00:00Z | grep alice@example.org
  mailimg logs --follow --since 1m")]
pub(super) struct Args {
    /// The services to show, such as postfix [default: all]
    services: Vec<String>,
    /// Keep printing new lines
    #[arg(short, long)]
    follow: bool,
    /// Leave out lines from before this time, or this long ago: 10m, 2h [default: all that is kept]
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    #[command(flatten)]
    engine: EngineArgs,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    // Compose prints nothing for a service that it doesn't know.
    let project = Project::open(context.project())?;
    args.services.iter().try_for_each(|service| project.recipe(service).map(|_| ()))?;
    let stack = args.engine.stack(context)?;
    let logs = Logs { services: &args.services, since: args.since.as_deref() };
    if args.follow {
        return Ok(stack.follow_logs(&logs)?);
    }
    let lines = stack.logs(&logs)?;
    let width = lines.iter().map(|line| line.service.len()).max().unwrap_or_default();
    let mut text = String::new();
    for LogLine { time, service, text: logged } in &lines {
        // A text can always be written to.
        let _ = writeln!(text, "{time} {service:width$} {logged}");
    }
    context.ui().write(text.as_bytes())
}
