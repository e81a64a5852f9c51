//! Output: results on standard output, everything else on standard error, colours only on terminals.

use std::io::{self, Write};
use std::ops::ControlFlow;
use std::time::Instant;

use camino::Utf8Path;
use owo_colors::OwoColorize;

use super::Failure;
use super::bars::Bars;
use crate::config::hide_in_message;
use crate::printable;
use crate::progress::{Progress, Step, Total};

/// The only part of the crate that writes to the terminal.
#[derive(Debug)]
pub(super) struct Ui {
    quiet: bool,
    bars: Bars,
    began: Instant,
}

impl Ui {
    pub(super) fn new(quiet: bool) -> Self {
        Self { quiet, bars: Bars::new(quiet), began: Instant::now() }
    }

    /// Where the log goes.
    pub(super) fn log_writer(&self) -> impl Fn() -> Box<dyn Write> + use<> {
        let bars = self.bars.clone();
        move || Box::new(bars.writer())
    }

    /// Whether the log is coloured: as all else on standard error, which goes through `anstream`.
    pub(super) fn log_has_colours() -> bool {
        anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never
    }

    /// Writes lines of a result to standard output. What could control a terminal is escaped. A closed pipe (`| head`) is
    /// not a failure.
    pub(super) fn write(&self, text: &[u8]) -> Result<(), Failure> {
        self.offer(text).map(drop)
    }

    /// Like [`Ui::write`], for output without an end: breaks when nobody reads it any more.
    pub(super) fn offer(&self, text: &[u8]) -> Result<ControlFlow<()>, Failure> {
        self.put(&printable::bytes(text))
    }

    /// Writes the content of a file to standard output, unchanged.
    pub(super) fn write_file(&self, bytes: &[u8]) -> Result<(), Failure> {
        self.put(bytes).map(drop)
    }

    fn put(&self, bytes: &[u8]) -> Result<ControlFlow<()>, Failure> {
        let write = || {
            let mut out = io::stdout().lock();
            out.write_all(bytes).and_then(|()| out.flush())
        };
        match self.bars.suspend(write) {
            Ok(()) => Ok(ControlFlow::Continue(())),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ControlFlow::Break(())),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes one line of a result to standard output. Foreign text in it can't begin another.
    pub(super) fn line(&self, line: impl AsRef<str>) -> Result<(), Failure> {
        let line = line.as_ref().replace('\n', "\\n");
        self.write(format!("{line}\n").as_bytes())
    }

    /// Writes a result to standard output as indented JSON.
    pub(super) fn json(&self, value: &impl serde::Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(value).map_err(io::Error::other)?;
        self.write_file(format!("{}\n", printable::json(&text)).as_bytes())
    }

    /// Reports on standard error what was done.
    pub(super) fn status(&self, message: impl AsRef<str>) {
        if !self.quiet {
            self.note("", message.as_ref());
        }
    }

    /// Ends a command that may take long: what there is now, after how long, and what comes next.
    pub(super) fn done(&self, what: &str, next: Option<&str>) {
        let next = next.map_or_else(String::new, |next| format!("; next: {next}"));
        self.status(format!("{what}, after {:.1} s{next}", self.began.elapsed().as_secs_f32()));
    }

    /// Reports on standard error what the user should know but needn't act on.
    pub(super) fn warning(&self, message: impl AsRef<str>) {
        self.note(&format!("{} ", "warning:".yellow().bold()), message.as_ref());
    }

    /// Shows a question on standard error; the answer comes on the same line.
    pub(super) fn ask(&self, question: &str) -> io::Result<()> {
        self.bars.suspend(|| {
            let mut terminal = anstream::stderr().lock();
            write!(terminal, "{} ", printable::message(question)).and_then(|()| terminal.flush())
        })
    }

    /// Reports why a command failed and what to do about it.
    pub(super) fn failure(&self, failure: &Failure) {
        let mut messages = failure.messages().iter();
        if let Some(message) = messages.next() {
            self.note(&format!("{} ", "error:".red().bold()), message);
        }
        for message in messages {
            self.note(&format!("  {} ", "because:".bold()), message);
        }
        if let Some(hint) = failure.advice() {
            self.note(&format!("{} ", "hint:".cyan().bold()), hint);
        }
    }

    /// Messages repeat arguments, files and answers, in which there may be passwords and what controls a terminal.
    fn note(&self, label: &str, message: &str) {
        let message = printable::message(&hide_in_message(message));
        // If standard error is closed, the user can't be told anything.
        let _ = self.bars.suspend(|| writeln!(anstream::stderr().lock(), "{label}{message}"));
    }
}

/// Whether a file that the user has named is standard output, under any of its names.
pub(super) fn is_standard_output(path: &Utf8Path) -> bool {
    ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"].contains(&path.as_str())
}

impl Progress for Ui {
    fn start(&self, title: &str, total: Total) -> Box<dyn Step> {
        Box::new(self.bars.start(title, total))
    }

    fn warn(&self, message: &str) {
        self.warning(message);
    }
}
