//! What services have logged.

mod kept;
mod line;
mod merged;
mod packed;

use std::io::{BufReader, ErrorKind};
use std::ops::ControlFlow;
use std::process::Stdio;
use std::time::Duration;

use super::process::{self, Ended, Limits};
use super::{EngineError, RunError, Stack};
use crate::timestamp::Timestamp;
use kept::Kept;
use line::printed_line;
use packed::{Packed, next_line};

pub use line::LogLine;
pub use merged::{Merged, Unkept};

/// Where the images' `logged` keeps what the programs have printed, in a volume.
const DIRECTORY: &str = "/var/log/mailimg";

/// How `logged` begins to say that it can't write there.
const COMPLAINT: &str = "logged: can't keep the log: ";

/// For all that a service has logged: 50 MB each.
const TIME: Duration = Duration::from_mins(10);

/// For one line of each service.
const NEWEST: Limits = Limits { time: Duration::from_mins(1), output: 16 << 20 };

/// Which log lines to read.
#[derive(Debug, Clone, Copy)]
pub struct Logs<'a> {
    /// Empty for all services.
    pub services: &'a [String],
    /// Leave out what is older.
    pub since: Option<Timestamp>,
}

impl Logs<'_> {
    fn wants(&self, service: &str) -> bool {
        self.services.is_empty() || self.services.iter().any(|wanted| wanted == service)
    }
}

fn arguments(since: Option<&str>, more: &[&str]) -> Vec<String> {
    let mut arguments: Vec<String> = ["logs", "--no-color", "--timestamps"].map(str::to_owned).into();
    arguments.extend(since.iter().flat_map(|since| ["--since", since].map(str::to_owned)));
    arguments.extend(more.iter().map(|argument| (*argument).to_owned()));
    arguments
}

impl Stack {
    /// What services logged, in the order of time. A service's own log outlives its containers. For one that keeps none,
    /// or can't, the engine has the lines of the container.
    pub fn logs(&self, logs: &Logs<'_>) -> Result<Merged, EngineError> {
        let since = logs.since.map(|since| since.to_string());
        let since = since.as_deref();
        let containers = self.containers()?;
        let containers: Vec<_> = containers.iter().filter(|container| logs.wants(&container.service)).collect();
        let services: Vec<&str> = containers.iter().map(|container| container.service.as_str()).collect();
        // Before the services' own logs, so that these have the same lines.
        let newest = self.newest(&services)?;
        let mut merged = Merged::default();
        for container in containers {
            let service = &container.service;
            let newest = newest.iter().find(|line| line.service == *service);
            let Some(kept) = self.kept(&container.id, since, newest)? else {
                merged.add(self.printed(service, since, "")?.0.lines(service));
                continue;
            };
            merged.add(kept.lines.lines(service));
            if !kept.is_current {
                let last = Some(kept.last).filter(|last| !last.is_empty());
                let since = last.as_deref().into_iter().chain(since).max_by_key(|time| time.trim_end_matches('Z'));
                let (lines, reason) = self.printed(service, since, last.as_deref().unwrap_or_default())?;
                merged.add(lines.lines(service));
                merged.unkept.push(Unkept { service: service.clone(), last, reason });
            }
        }
        Ok(merged)
    }

    /// The last line that the engine has of each service, if it has any.
    fn newest(&self, services: &[&str]) -> Result<Vec<LogLine>, EngineError> {
        if services.is_empty() {
            return Ok(Vec::new());
        }
        let arguments = arguments(None, &[&["--tail", "1"], services].concat());
        let ended = process::run(self.command().args(arguments), NEWEST, process::nothing);
        let lines = self.printed_by(ended)?;
        Ok(String::from_utf8_lossy(&lines).lines().filter_map(printed_line).collect())
    }

    /// The log that a service keeps itself, if it keeps one. Whether or not the container runs, the engine copies it.
    fn kept(
        &self,
        container: &str,
        since: Option<&str>,
        newest: Option<&LogLine>,
    ) -> Result<Option<Kept>, EngineError> {
        let copy = ["cp", &format!("{container}:{DIRECTORY}"), "-"];
        let (since, newest) = (since.unwrap_or_default().to_owned(), newest.cloned());
        let read = move |archive| kept::read(archive, &since, newest.as_ref());
        let ended = process::run_reading(self.engine.command().args(copy), TIME, process::nothing, read);
        let ended = ended.map_err(|source| self.engine.failed(source))?;
        match ended.success {
            true => Ok(Some(ended.stdout)),
            false if is_missing(&ended.said()) => Ok(None),
            false => Err(EngineError::Logs { said: ended.last_line() }),
        }
    }

    /// The lines that the engine has of a service after those that it has kept, and why that couldn't keep these.
    fn printed(&self, service: &str, since: Option<&str>, last: &str) -> Result<(Packed, Option<String>), EngineError> {
        let last = last.to_owned();
        let read = move |output| {
            let mut reason = None;
            let lines = Packed::read(output, |line| {
                let (_, line) = line.split_once(" | ")?;
                let said = line.split_once(' ').and_then(|(_, text)| text.strip_prefix(COMPLAINT));
                reason = said.map(str::to_owned).or_else(|| reason.take());
                (line > last.as_str()).then_some(line)
            });
            Ok((lines?, reason))
        };
        let command = &mut self.command();
        self.printed_by(process::run_reading(command.args(arguments(since, &[service])), TIME, process::nothing, read))
    }

    fn printed_by<T>(&self, ended: Result<Ended<T>, RunError>) -> Result<T, EngineError> {
        let ended = ended.map_err(|source| self.failed(source))?;
        if ended.success { Ok(ended.stdout) } else { Err(EngineError::Logs { said: ended.last_line() }) }
    }

    /// Passes on what services log, line by line, until compose ends or `show` has enough.
    pub fn follow_logs(
        &self,
        logs: &Logs<'_>,
        mut show: impl FnMut(&LogLine) -> ControlFlow<()>,
    ) -> Result<(), EngineError> {
        let since = logs.since.map(|since| since.to_string());
        let services: Vec<&str> = logs.services.iter().map(String::as_str).collect();
        let failed = |error| self.failed(RunError::Start(error));
        let mut command = self.command();
        command
            .args(arguments(since.as_deref(), &services))
            .arg("--follow")
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let mut compose = command.spawn().map_err(failed)?;
        let mut output = BufReader::new(compose.stdout.take().ok_or_else(|| failed(ErrorKind::BrokenPipe.into()))?);
        let mut line = Vec::new();
        while next_line(&mut output, &mut line).map_err(failed)? {
            let shown = printed_line(&String::from_utf8_lossy(&line)).map(|line| show(&line));
            if shown.is_some_and(|flow| flow.is_break()) {
                // It may have ended by itself.
                let _ = compose.kill();
                return compose.wait().map(drop).map_err(failed);
            }
        }
        let status = compose.wait().map_err(failed)?;
        if status.success() { Ok(()) } else { Err(EngineError::Logs { said: status.to_string() }) }
    }
}

/// Docker and Podman say so in different words.
fn is_missing(said: &str) -> bool {
    said.contains("ould not find the file") || said.contains("could not be found")
}
