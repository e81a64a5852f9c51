//! The progress of a long step, on terminals only.

use std::sync::Mutex;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::ui::Ui;

/// A line on standard error that is redrawn, and removed when this is dropped. Any thread may report progress.
#[derive(Debug)]
pub(super) struct Steps {
    bar: ProgressBar,
    /// The current step.
    step: Mutex<String>,
}

impl Steps {
    /// Shows nothing with `--quiet`, or if standard error is not a terminal.
    pub(super) fn new(ui: &Ui) -> Self {
        let target = if ui.is_quiet() { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        Self { bar: ProgressBar::with_draw_target(None, target), step: Mutex::default() }
    }

    /// A step counted in bytes.
    pub(super) fn bytes(&self, step: &str, done: u64, total: u64) {
        self.start(step, "{msg} [{bar:30}] {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec}", Some(total));
        self.bar.set_position(done);
    }

    fn start(&self, step: &str, template: &str, total: Option<u64>) {
        // A thread that panicked while holding the lock leaves, at worst, the name of another step.
        let mut shown = self.step.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if *shown == step && self.bar.length() == total {
            return;
        }
        step.clone_into(&mut shown);
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style.progress_chars("=> "));
        }
        if let Some(total) = total {
            self.bar.disable_steady_tick();
            self.bar.set_length(total);
        } else {
            self.bar.unset_length();
            self.bar.enable_steady_tick(Duration::from_millis(120));
        }
        self.bar.set_message(step.to_owned());
    }
}

impl Drop for Steps {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
