//! Progress on the terminal: one line per step in progress.

use std::io::{self, Write};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::config::hide_in_message;
use crate::printable;
use crate::progress::{Step, Total};

/// The lines at the bottom of the terminal. Nothing is shown if standard error is not a terminal.
#[derive(Debug, Clone)]
pub(super) struct Bars(MultiProgress);

impl Bars {
    pub(super) fn new(quiet: bool) -> Self {
        let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        Self(MultiProgress::with_draw_target(target))
    }

    pub(super) fn start(&self, title: &str, total: Total) -> Bar {
        tracing::info!("{title}");
        let (length, template) = match total {
            Total::Unknown => (None, "{spinner} {prefix} {wide_msg}"),
            Total::Bytes(bytes) => (
                Some(bytes),
                "{prefix} [{bar:30}] {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec} {wide_msg}",
            ),
            Total::Items(items) => (Some(items), "{prefix} [{bar:30}] {pos}/{len} {wide_msg}"),
        };
        let bar = self.0.add(ProgressBar::with_draw_target(length, ProgressDrawTarget::hidden()));
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_prefix(printable::field(title).into_owned());
        // indicatif panics if the system gives the spinner no thread.
        if length.is_none() && !self.0.is_hidden() && super::try_thread().is_ok() {
            bar.enable_steady_tick(Duration::from_millis(120));
        }
        Bar(bar)
    }

    /// Lets `write` use the terminal, then redraws the lines below its output.
    pub(super) fn suspend<T>(&self, write: impl FnOnce() -> T) -> T {
        self.0.suspend(write)
    }

    /// Standard error, for other writers.
    pub(super) fn writer(&self) -> impl Write + use<> {
        Above(self.clone())
    }
}

/// A step's line, which disappears when the step ends.
#[derive(Debug)]
pub(super) struct Bar(ProgressBar);

impl Step for Bar {
    fn advance(&self, amount: u64) {
        self.0.inc(amount);
    }

    fn retract(&self, amount: u64) {
        self.0.dec(amount);
    }

    fn item(&self, name: &str) {
        self.0.set_message(printable::field(name).into_owned());
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Writes to standard error above the lines, without passwords. The log's own colours stay: where something else brings
/// escape sequences, tracing has replaced them.
struct Above(Bars);

impl Write for Above {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let shown = printable::log(&hide_in_message(&String::from_utf8_lossy(bytes)));
        self.0.suspend(|| io::stderr().write_all(shown.as_bytes()))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
