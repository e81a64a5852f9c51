//! Against real Alpine: packages, indexes and what Alpine's own apk made of them. See `common::alpine` for where from.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

#[path = "../common/mod.rs"]
mod common;

mod debian;
mod own_apk;
mod packages;
mod scripts;
mod solver;
