use std::io::{BufRead as _, BufReader, ErrorKind, Read as _};
use std::ops::ControlFlow;
use std::process::Stdio;
use std::time::Duration;

use super::process::{self, Limits};
use super::stack::ANSWER_LIMIT;
use super::{EngineError, RunError, Stack};
use crate::apk::tar::Entries;
use crate::timestamp::Timestamp;

/// Where the images' `logged` keeps what the programs have printed, in a volume.
const DIRECTORY: &str = "/var/log/mailimg";

/// The images' `logged` cuts lines that are longer than 8 KiB.
const LONGEST_LINE: u64 = 64 << 10;

/// For all that a service has logged: 50 MB each.
const LOGS: Limits = Limits { time: Duration::from_mins(10), output: ANSWER_LIMIT };

/// Which log lines to read.
#[derive(Debug, Clone, Copy)]
pub struct Logs<'a> {
    /// Empty for all services.
    pub services: &'a [String],
    /// Leave out what is older.
    pub since: Option<Timestamp>,
}

/// A line that a service logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// RFC 3339 in UTC, with a fraction of a second.
    pub time: String,
    pub service: String,
    pub text: String,
}

impl Logs<'_> {
    fn wants(&self, service: &str) -> bool {
        self.services.is_empty() || self.services.iter().any(|wanted| wanted == service)
    }

    fn arguments(&self, services: &[&str]) -> Vec<String> {
        let mut arguments: Vec<String> = ["logs", "--no-color", "--timestamps"].map(str::to_owned).into();
        arguments.extend(self.since.iter().flat_map(|since| ["--since".to_owned(), since.to_string()]));
        arguments.extend(services.iter().map(|service| (*service).to_owned()));
        arguments
    }
}

impl Stack {
    /// What services logged, in the order of time. A service's own log outlives its containers. For one that keeps none,
    /// the engine has the lines of the container.
    pub fn logs(&self, logs: &Logs<'_>) -> Result<Vec<LogLine>, EngineError> {
        // The date and time of both have the same length, up to the fraction.
        let since = logs.since.map(|since| since.to_string());
        let since = since.as_deref().map_or("", |since| since.trim_end_matches('Z'));
        let containers = self.containers()?;
        let (mut lines, mut others) = (Vec::new(), Vec::new());
        for container in containers.iter().filter(|container| logs.wants(&container.service)) {
            match self.kept(&container.id) {
                Some(kept) => lines.extend(
                    kept.lines().filter(|line| *line >= since).filter_map(|line| kept_line(&container.service, line)),
                ),
                None => others.push(container.service.as_str()),
            }
        }
        if !others.is_empty() {
            lines.extend(self.printed(logs, &others)?);
        }
        lines.sort_by(|a, b| a.time.cmp(&b.time));
        Ok(lines)
    }

    /// The log that a service keeps itself, oldest lines first. Whether or not the container runs, the engine copies it.
    fn kept(&self, container: &str) -> Option<String> {
        let copy = ["cp", &format!("{container}:{DIRECTORY}"), "-"];
        let ended = process::run(self.engine.command().args(copy), LOGS, process::nothing).ok()?;
        let mut files = if ended.success { files(&ended.stdout) } else { return None };
        files.sort_by_key(|(age, _)| std::cmp::Reverse(*age));
        let text: String = files.into_iter().map(|(_, text)| text).collect();
        (!text.is_empty()).then_some(text)
    }

    fn printed(&self, logs: &Logs<'_>, services: &[&str]) -> Result<Vec<LogLine>, EngineError> {
        let arguments = logs.arguments(services);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let ended = self.finish(&arguments, LOGS, process::nothing)?;
        if !ended.success {
            return Err(EngineError::Logs { said: ended.last_line() });
        }
        Ok(String::from_utf8_lossy(&ended.stdout).lines().filter_map(printed_line).collect())
    }

    /// Passes on what services log, line by line, until compose ends or `show` has enough.
    pub fn follow_logs(
        &self,
        logs: &Logs<'_>,
        mut show: impl FnMut(&LogLine) -> ControlFlow<()>,
    ) -> Result<(), EngineError> {
        let services: Vec<&str> = logs.services.iter().map(String::as_str).collect();
        let failed = |error| self.failed(RunError::Start(error));
        let mut command = self.command();
        command.args(logs.arguments(&services)).arg("--follow").stdin(Stdio::null()).stdout(Stdio::piped());
        let mut compose = command.spawn().map_err(failed)?;
        let mut output = BufReader::new(compose.stdout.take().ok_or_else(|| failed(ErrorKind::BrokenPipe.into()))?);
        let mut line = Vec::new();
        while output.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line).map_err(failed)? > 0 {
            let shown = printed_line(String::from_utf8_lossy(&line).trim_end_matches('\n')).map(|line| show(&line));
            if shown.is_some_and(|flow| flow.is_break()) {
                // It may have ended by itself.
                let _ = compose.kill();
            }
            line.clear();
        }
        let status = compose.wait().map_err(failed)?;
        if status.success() { Ok(()) } else { Err(EngineError::Logs { said: status.to_string() }) }
    }
}

/// The log's files, `log`, `log.1`, …, and the age of each. What can't be read is left out.
fn files(archive: &[u8]) -> Vec<(u32, String)> {
    let mut entries = Entries::new(archive);
    let mut files = Vec::new();
    while let Ok(Some(entry)) = entries.next() {
        let name = String::from_utf8_lossy(&entry.path).into_owned();
        let age = match name.rsplit_once("/log") {
            Some((_, "")) => Some(0),
            Some((_, age)) => age.strip_prefix('.').and_then(|age| age.parse().ok()),
            None => None,
        };
        let mut text = Vec::new();
        if let Some(age) = age
            && entries.content().read_to_end(&mut text).is_ok()
        {
            files.push((age, String::from_utf8_lossy(&text).into_owned()));
        }
    }
    files
}

/// Reads `2026-11-26T10:48:55.123456Z text`. Whatever a service has logged, it can't control a terminal.
fn kept_line(service: &str, line: &str) -> Option<LogLine> {
    let (time, text) = line.split_once(' ').unwrap_or((line, ""));
    let text = text.replace(|it: char| it.is_control() && it != '\t', "?");
    is_time(time).then(|| LogLine { time: time.to_owned(), service: service.to_owned(), text })
}

/// Reads `postfix-1  | 2026-11-26T10:48:55.123456789Z text`. Compose's own remarks are none.
fn printed_line(line: &str) -> Option<LogLine> {
    let (container, rest) = line.split_once(" | ")?;
    // Some versions of compose write terminal codes even without a terminal.
    let container = container.trim().trim_start_matches("\u{1b}[2K");
    let service = container.rsplit_once(['-', '_']).map_or(container, |(service, _)| service);
    kept_line(service, rest)
}

fn is_time(text: &str) -> bool {
    let is_part = |it: u8| it.is_ascii_digit() || b"-T:.Z".contains(&it);
    text.len() >= 20 && text.ends_with('Z') && text.as_bytes().get(10) == Some(&b'T') && text.bytes().all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_compose_are_taken_apart() {
        let line = printed_line("\u{1b}[2Kpostfix-1  | 2026-11-26T10:48:55.123456789Z Nov 26 a | b").unwrap();
        assert_eq!((line.service.as_str(), line.text.as_str()), ("postfix", "Nov 26 a | b"));
        assert_eq!(line.time, "2026-11-26T10:48:55.123456789Z");
        let older = printed_line("my-mail_1     | 2026-11-26T10:48:55.123456789Z").unwrap();
        assert_eq!((older.service.as_str(), older.text.as_str()), ("my-mail", ""));
        let hostile = printed_line("a | 2026-11-26T10:48:55.1Z \u{1b}[2J\tx\u{9b}\r").unwrap();
        assert_eq!(hostile.text, "?[2J\tx??");
        for none in ["a | 2026-11-26T10:48:55\u{1b}Z x", "Attaching to postfix_1", "postfix-1  | no time", ""] {
            assert_eq!(printed_line(none), None, "{none:?}");
        }
    }

    #[test]
    fn a_log_is_read_with_its_older_files() {
        let mut archive = tar::Builder::new(Vec::new());
        for (name, text) in [("mailimg/log", "new\n"), ("mailimg/log.1", "old\n"), ("mailimg/other", "x")] {
            let mut header = tar::Header::new_ustar();
            header.set_size(text.len() as u64);
            header.set_mode(0o640);
            header.set_uid(0);
            header.set_gid(0);
            header.set_mtime(1);
            archive.append_data(&mut header, name, text.as_bytes()).unwrap();
        }
        let read = files(&archive.into_inner().unwrap());
        assert_eq!(read, [(0, "new\n".to_owned()), (1, "old\n".to_owned())]);
        assert_eq!(files(b"not an archive"), []);
    }
}
