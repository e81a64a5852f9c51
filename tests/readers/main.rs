//! Whether archives that we call portable are read alike by Go's archive/tar, Rust's tar and GNU tar: engines unpack with
//! the first two, people look with the third.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    missing_docs
)]

#[path = "../common/foreign.rs"]
#[allow(dead_code, unreachable_pub)]
mod foreign;

mod listing;
mod odd;

use std::fmt::Write as _;

use listing::{Listed, Listing, by_gnu_tar, by_go, by_rust, by_us, timeless};

/// How many archives are made, from the seeds 0, 1, 2, ….
const ARCHIVES: u64 = 6000;

/// How many of the differences found are shown.
const SHOWN: usize = 10;

#[test]
fn what_is_portable_is_read_alike() {
    let archives: Vec<_> = (0..ARCHIVES).map(odd::archive).collect();
    let ours: Vec<_> = archives.iter().map(|archive| by_us(archive)).collect();
    let go = by_go(&archives);
    let rust: Vec<_> = archives.iter().map(|archive| by_rust(archive)).collect();
    let is_portable = |seed: usize| ours[seed].as_ref().is_ok_and(|read| read.is_portable);
    let portable: Vec<usize> = (0..archives.len()).filter(|seed| is_portable(*seed)).collect();
    let gnu = by_gnu_tar(portable.iter().map(|seed| &archives[*seed]));

    let mut different = Vec::new();
    for (seed, gnu) in portable.iter().zip(gnu) {
        let read = &ours[*seed].as_ref().unwrap().entries;
        let without_times = timeless(read);
        for (reader, found, ours) in
            [("Go", &go[*seed], read), ("Rust", &rust[*seed], read), ("GNU tar", &gnu, &without_times)]
        {
            if found.as_ref().ok() != Some(ours) {
                different.push(format!("archive {seed}: {reader} reads\n{}and we\n{}", show(found), list(ours)));
            }
        }
    }
    let refused = ours.iter().filter(|read| read.is_err()).count();
    let others = ours.iter().enumerate().filter(|(seed, read)| read.is_ok() && !is_portable(*seed));
    let (disputed, agreed): (Vec<_>, Vec<_>) = others.partition(|(seed, read)| {
        let entries = &read.as_ref().unwrap().entries;
        [&go[*seed], &rust[*seed]].into_iter().any(|found| found.as_ref().ok() != Some(entries))
    });
    eprintln!(
        "{ARCHIVES} archives: {} portable, {refused} refused, {} read otherwise by others, {} not called portable",
        portable.len(),
        disputed.len(),
        agreed.len()
    );
    assert!(
        different.is_empty(),
        "{} differences:\n{}",
        different.len(),
        different[..SHOWN.min(different.len())].join("\n")
    );
    // Otherwise this test shows nothing.
    assert!(portable.len() > archives.len() / 5 && refused > archives.len() / 20, "too few of a kind");
    assert!(disputed.len() > archives.len() / 20, "too few archives about which readers differ");
}

fn show(found: &Listing) -> String {
    match found {
        Ok(entries) => list(entries),
        Err(error) => format!("  error: {error}\n"),
    }
}

fn list(entries: &[Listed]) -> String {
    let mut text = String::new();
    for entry in entries {
        let _ = writeln!(text, "  {entry:?}");
    }
    text
}
