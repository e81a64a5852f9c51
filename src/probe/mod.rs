//! Tests a running site from outside, as mail servers and its users' programs see it: SMTP, IMAP and TLS.
//!
//! `judge` says what answers mean, without asking for any. The other modules get the answers.

mod check;
mod endpoint;
mod hello;
mod imap;
mod incoming;
mod judge;
mod mailbox;
mod message;
mod reply;
mod run;
mod smtp;
mod submission;
mod target;
mod tls;
mod transport;

pub use check::{Check, Outcome, ids};
pub use run::{Order, run};
pub use target::{Account, ProbeError, Target};
