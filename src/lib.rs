//! Reproducible OCI images from pinned Alpine packages, and a whole mail server made of them.
//!
//! One module per stage, in the order of the data flow. A stage may use the stages above it in this list, but none
//! below. `docs/architecture.md` describes them and says where to add things.

pub mod digest;
pub mod table;
pub mod timestamp;

pub mod path;

pub mod printable;

pub mod similar;

pub mod progress;

pub mod config;

pub mod apk;

pub mod store;

pub mod http;

pub mod registry;

pub mod fetch;

pub mod repo;

pub mod debian;

pub mod solve;

pub mod lock;

pub mod packages;

pub mod resolve;

pub mod rootfs;

pub mod layer;

pub mod oci;

pub mod build;

pub mod push;

pub mod compose;

pub mod engine;

pub mod mail;

pub mod deploy;

pub mod probe;

pub mod report;

pub mod cli;
