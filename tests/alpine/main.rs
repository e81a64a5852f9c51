//! Comparisons with real Alpine: packages, indexes, and the results of Alpine's own apk. They are in `common::alpine`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

#[path = "../common/mod.rs"]
mod common;

mod debian;
mod own_apk;
mod packages;
mod scripts;
mod solver;
