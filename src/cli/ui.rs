//! Output: results on standard output, everything else on standard error, colours only on terminals.

use std::io::{self, Write};
use std::ops::ControlFlow;
use std::time::Instant;

use owo_colors::OwoColorize;

use super::Failure;
use super::bars::Bars;
use crate::config::hide_in_message;
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

    /// Writes a result to standard output, unchanged. A closed pipe (`| head`) is not a failure.
    pub(super) fn write(&self, bytes: &[u8]) -> Result<(), Failure> {
        self.offer(bytes).map(drop)
    }

    /// Like [`Ui::write`], for output without an end: breaks when nobody reads it any more.
    pub(super) fn offer(&self, bytes: &[u8]) -> Result<ControlFlow<()>, Failure> {
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

    /// Writes one line of a result to standard output.
    pub(super) fn line(&self, line: impl AsRef<str>) -> Result<(), Failure> {
        self.write(format!("{}\n", line.as_ref()).as_bytes())
    }

    /// Writes a result to standard output as indented JSON.
    pub(super) fn json(&self, value: &impl serde::Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(value).map_err(io::Error::other)?;
        self.line(text)
    }

    /// Reports on standard error what was done.
    pub(super) fn status(&self, message: impl AsRef<str>) {
        if !self.quiet {
            self.note(message.as_ref());
        }
    }

    /// Ends a command that may take long: what there is now, after how long, and what comes next.
    pub(super) fn done(&self, what: &str, next: Option<&str>) {
        let next = next.map_or_else(String::new, |next| format!("; next: {next}"));
        self.status(format!("{what}, after {:.1} s{next}", self.began.elapsed().as_secs_f32()));
    }

    /// Reports on standard error what the user should know but needn't act on.
    pub(super) fn warning(&self, message: impl AsRef<str>) {
        self.note(&format!("{} {}", "warning:".yellow().bold(), message.as_ref()));
    }

    /// Shows a question on standard error; the answer comes on the same line.
    pub(super) fn ask(&self, question: &str) -> io::Result<()> {
        self.bars.suspend(|| {
            let mut terminal = anstream::stderr().lock();
            write!(terminal, "{question} ").and_then(|()| terminal.flush())
        })
    }

    /// Reports why a command failed and what to do about it.
    pub(super) fn failure(&self, failure: &Failure) {
        let mut messages = failure.messages().iter();
        if let Some(message) = messages.next() {
            self.note(&format!("{} {message}", "error:".red().bold()));
        }
        for message in messages {
            self.note(&format!("  {} {message}", "because:".bold()));
        }
        if let Some(hint) = failure.advice() {
            self.note(&format!("{} {hint}", "hint:".cyan().bold()));
        }
    }

    /// Messages repeat arguments, files and answers, in which there may be passwords.
    fn note(&self, line: &str) {
        let line = hide_in_message(line);
        // If standard error is closed, the user can't be told anything.
        let _ = self.bars.suspend(|| writeln!(anstream::stderr().lock(), "{line}"));
    }
}

impl Progress for Ui {
    fn start(&self, title: &str, total: Total) -> Box<dyn Step> {
        Box::new(self.bars.start(title, total))
    }

    fn warn(&self, message: &str) {
        self.warning(message);
    }
}
