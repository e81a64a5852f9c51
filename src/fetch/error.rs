use std::io;

use super::Location;
use crate::digest::Sha256;
use crate::http::HttpError;
use crate::store::StoreError;

/// A file could not be had, or is not the one that was asked for. Nothing of it was kept.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// It is not there.
    #[error("{location} does not exist{}", status.map(|s| format!(" (the server answers {s})")).unwrap_or_default())]
    NotFound {
        /// Where it was looked for.
        location: Box<Location>,
        /// The server's answer, if there is a server.
        status: Option<u16>,
    },
    /// The server wants other credentials, or some. Object stores also answer 403 for what is not there.
    #[error("access to {location} is denied (the server answers {status})")]
    Denied {
        /// Where.
        location: Box<Location>,
        /// The server's answer: 401 or 403.
        status: u16,
    },
    /// The server refuses, or fails again and again.
    #[error("{location}: the server answers {status}{}", tries(*attempts))]
    Status {
        /// Where.
        location: Box<Location>,
        /// The server's last answer.
        status: u16,
        /// How often it was asked.
        attempts: u32,
    },
    /// No answer, or one that breaks off.
    #[error("can't get {location}{}", tries(*attempts))]
    Network {
        /// Where.
        location: Box<Location>,
        /// How often it was tried.
        attempts: u32,
        /// The last failure.
        source: HttpError,
    },
    /// The file can't be read.
    #[error("can't read {location}")]
    File {
        /// Where.
        location: Box<Location>,
        /// Why.
        source: io::Error,
    },
    /// It is longer or shorter than the lock or the index says.
    #[error("{location} is {found} bytes long, expected {expected}")]
    Size {
        /// Where.
        location: Box<Location>,
        /// Bytes that it should have.
        expected: u64,
        /// Bytes that it has; where it is longer, at least these.
        found: u64,
    },
    /// It is longer than such a file may be.
    #[error("{location} is longer than the {limit} bytes allowed")]
    TooLarge {
        /// Where.
        location: Box<Location>,
        /// The bound.
        limit: u64,
    },
    /// It has the right length but other content.
    #[error("{location} has SHA-256 {found}, expected {expected}")]
    Digest {
        /// Where.
        location: Box<Location>,
        /// What it should have.
        expected: Sha256,
        /// What it has.
        found: Sha256,
    },
    /// It is not in the store, and the network may not be used.
    #[error("{location} is not in the store")]
    Offline {
        /// Where it would come from.
        location: Box<Location>,
    },
    /// The store did not take it.
    #[error("can't keep {location}")]
    Store {
        /// Where it comes from.
        location: Box<Location>,
        /// Why.
        source: StoreError,
    },
}

impl FetchError {
    /// The HTTP status with which a server refused, if that is what happened.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::NotFound { status, .. } => *status,
            Self::Denied { status, .. } | Self::Status { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Whether a file that has been there is gone. Object stores answer 403 for it where listing is not allowed.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::NotFound { .. } | Self::Denied { status: 403, .. })
    }
}

fn tries(attempts: u32) -> String {
    if attempts > 1 { format!(" after {attempts} attempts") } else { String::new() }
}
