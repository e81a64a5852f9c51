//! The command line as users see it: output, exit codes, and the files it leaves behind.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

#[path = "../common/mod.rs"]
mod common;

mod apk;
mod architecture;
mod basics;
mod build;
mod cache;
mod completions;
mod compose;
mod config;
mod credentials;
mod debian;
mod digest;
mod disk;
mod documentation;
mod domains;
mod fake_engine;
mod fake_mail;
mod faults;
mod flat;
mod init;
mod layers;
mod load;
mod lock;
mod logs;
mod mailboxes;
mod packages;
mod plain;
mod platforms;
mod project_files;
mod push;
mod queue;
mod scripts;
mod secrets;
mod terminal;
mod test_mail;
mod up;
mod users;
mod why;
