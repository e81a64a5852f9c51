//! Shared by the tests: isolated projects, local servers, the container engine, mail clients.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::print_stderr,
    unreachable_pub,
    missing_docs
)]

pub mod alpine;
pub mod dns;
pub mod engine;
pub mod faulty;
pub mod flat;
pub mod foreign;
pub mod http;
pub mod imap;
pub mod own_apk;
pub mod packages;
pub mod project;
pub mod registry;
pub mod smtp;

use std::time::{Duration, Instant};

/// How often to try something: in `scripts/test --long`, the full count.
pub fn count(short: usize, full: usize) -> usize {
    if std::env::var_os("MAILIMG_FULL_LOAD").is_some() { full } else { short }
}

/// Repeats a check until it gives an answer, or fails and says what it waited for.
pub fn wait_for<T>(what: &str, limit: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(start.elapsed() < limit, "waited {} s in vain for {what}", limit.as_secs());
        std::thread::sleep(Duration::from_millis(200));
    }
}
