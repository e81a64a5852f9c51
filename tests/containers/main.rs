//! The product: four images in a real container engine, tested with real clients.
//!
//! Starting a stack takes a while, so tests share one (`stack::shared`). Those that change or break something get one of
//! a few others to themselves (`stack::exclusive`), and those that measure time the whole machine (`stack::quiet`). All
//! stacks are removed when this program ends.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    unreachable_pub,
    missing_docs
)]

#[path = "../common/mod.rs"]
mod common;

mod alone;
mod alpine;
mod archives;
mod chaos;
mod compose;
mod contents;
mod database;
mod delivery;
mod dkim;
mod documentation;
mod domains;
mod failures;
mod flat;
mod flood;
mod hostile;
mod imap;
mod incoming;
mod ipv6;
mod load;
mod logs;
mod mailboxes;
mod managesieve;
mod metrics;
mod outgoing;
mod pool;
mod proxy;
mod queue;
mod reproducible;
mod secrets;
mod senders;
mod sieve;
mod sink;
mod srs;
mod stack;
mod strangers;
mod submission;
mod test_mail;
mod tls;
mod up;
mod users;
mod virus;
mod without_engine;
