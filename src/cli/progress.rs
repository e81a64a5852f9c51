//! The progress of downloads: one bar for all of them, on terminals only.

use std::collections::HashMap;
use std::io::IsTerminal as _;
use std::sync::{Mutex, PoisonError};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::ui::Ui;
use crate::fetch::{FetchError, Progress, Request, Size};

/// A bar that grows with each download that starts, and disappears when this value is dropped.
#[derive(Debug)]
pub(super) struct Downloads<'a> {
    ui: &'a Ui,
    bar: ProgressBar,
    /// Bytes received of each file. Those of a failed attempt are subtracted when the next one starts.
    received: Mutex<HashMap<String, u64>>,
}

impl<'a> Downloads<'a> {
    pub(super) fn new(ui: &'a Ui) -> Self {
        let hidden = ui.is_quiet() || !std::io::stderr().is_terminal();
        let target = if hidden { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr_with_hz(10) };
        let bar = ProgressBar::with_draw_target(Some(0), target);
        let template = "{bar:30} {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec} {wide_msg}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self { ui, bar, received: Mutex::new(HashMap::new()) }
    }

    fn received_of<T>(&self, request: &Request, change: impl FnOnce(&mut Option<u64>) -> T) -> T {
        let mut received = self.received.lock().unwrap_or_else(PoisonError::into_inner);
        let mut count = received.get(&request.name).copied();
        let result = change(&mut count);
        received.insert(request.name.clone(), count.unwrap_or_default());
        result
    }
}

impl Progress for Downloads<'_> {
    fn started(&self, request: &Request) {
        match self.received_of(request, |count| count.replace(0)) {
            Some(before) => self.bar.set_position(self.bar.position().saturating_sub(before)),
            None => {
                if let Size::Exactly(size) = request.size {
                    self.bar.inc_length(size);
                }
            }
        }
        self.bar.set_message(request.name.clone());
    }

    fn received(&self, request: &Request, bytes: u64) {
        self.received_of(request, |count| *count = Some(count.unwrap_or_default() + bytes));
        self.bar.inc(bytes);
    }

    fn finished(&self, _: &Request) {}

    fn elsewhere(&self, request: &Request, answer: &FetchError, place: &str) {
        self.bar.suspend(|| self.ui.warning(format!("{answer}; fetching {} from {place}", request.name)));
    }
}

impl Drop for Downloads<'_> {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
