use std::fmt::Write as _;
use std::ops::ControlFlow;

use super::engine::EngineArgs;
use super::time::ago;
use super::{Context, Failure, complete};
use crate::config::Project;
use crate::engine::{LogLine, Logs, Merged, Unkept};
use crate::timestamp::Timestamp;

/// Show what the services have logged.
///
/// Prints all lines of all services in one order, by time (UTC), so that a mail can be followed from one to the next. The
/// newest 50 MB of each service's log are kept, even when its container is replaced. If a service can't keep its log, because
/// the disk is full, a warning says so, and its newer lines are those that the engine has. With --follow, prints lines as
/// they come, until it is interrupted or nobody reads them any more.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  mailimg logs --since 1h
  mailimg logs postfix dovecot --since 2026-11-26T10:00:00Z | grep alice@example.org
  mailimg logs --follow --since 1m")]
pub(super) struct Args {
    /// The services to show, such as postfix [default: all]
    #[arg(add = complete::images())]
    services: Vec<String>,
    /// Keep printing new lines
    #[arg(short, long)]
    follow: bool,
    /// Leave out lines older than this: a time, or how long ago, such as 10m or 1d [default: all that is kept]
    #[arg(long, value_name = "TIME", value_parser = ago)]
    since: Option<Timestamp>,
    #[command(flatten)]
    engine: EngineArgs,
}

/// How many bytes to write at a time.
const AT_ONCE: usize = 64 << 10;

pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    // Compose prints nothing for a service that it doesn't know.
    let project = Project::open(context.project())?;
    args.services.iter().try_for_each(|service| project.recipe(service).map(|_| ()))?;
    let stack = args.engine.stack(context)?;
    let logs = Logs { services: &args.services, since: args.since };
    if args.follow {
        let mut written = Ok(());
        stack.follow_logs(&logs, |LogLine { time, service, text }| {
            context.ui().offer(format!("{time} {service} {text}\n").as_bytes()).unwrap_or_else(|failure| {
                written = Err(failure);
                ControlFlow::Break(())
            })
        })?;
        return written;
    }
    let lines = stack.logs(&logs)?;
    lines.unkept.iter().for_each(|unkept| context.ui().warning(warning(unkept)));
    write(lines, context)
}

fn write(lines: Merged, context: &Context) -> Result<(), Failure> {
    let width = lines.width();
    let mut text = String::new();
    for LogLine { time, service, text: logged } in lines {
        // A text can always be written to.
        let _ = writeln!(text, "{time} {service:width$} {logged}");
        if text.len() > AT_ONCE {
            context.ui().write(text.as_bytes())?;
            text.clear();
        }
    }
    context.ui().write(text.as_bytes())
}

fn warning(Unkept { service, last, reason }: &Unkept) -> String {
    let since = last.as_ref().map_or_else(String::new, |last| format!(" since {last}"));
    let reason = reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
    format!(
        "{service} has not been able to keep its log{since}{reason}. What follows is the engine's copy, which is lost \
         when the container is replaced: see whether the disk is full"
    )
}
