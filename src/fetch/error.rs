use std::io;

use super::Location;
use crate::digest::Sha256;
use crate::http::HttpError;
use crate::store::StoreError;

/// Why a file could not be fetched. Nothing of it was kept.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("{location} does not exist{}", status.map(|s| format!(" (the server answered {s})")).unwrap_or_default())]
    NotFound { location: Box<Location>, status: Option<u16> },
    /// The server refused the credentials, or requires some. Object stores also answer 403 for missing files.
    #[error("access to {location} is denied ({} answered {status})", answerer(redirected_to.as_deref()))]
    Denied {
        location: Box<Location>,
        status: u16,
        /// The host that refused, if it is another one.
        redirected_to: Option<String>,
    },
    /// The server refuses, or keeps failing.
    #[error("{location}: the server answered {status}{}", tries(*attempts))]
    Status { location: Box<Location>, status: u16, attempts: u32 },
    /// No answer, or one that breaks off.
    #[error("can't fetch {location}{}", tries(*attempts))]
    Network { location: Box<Location>, attempts: u32, source: HttpError },
    /// The file can't be read.
    #[error("can't read {location}")]
    File { location: Box<Location>, source: io::Error },
    /// Its length differs from the lock or index.
    #[error("{location} is {found} bytes long, expected {expected}")]
    Size {
        location: Box<Location>,
        expected: u64,
        /// Bytes that it has; where it is longer, at least these.
        found: u64,
    },
    /// It is longer than such a file may be.
    #[error("{location} is longer than the allowed {limit} bytes")]
    TooLarge { location: Box<Location>, limit: u64 },
    /// It has the right length but different content.
    #[error("{location} has SHA-256 {found}, expected {expected}")]
    Digest { location: Box<Location>, expected: Sha256, found: Sha256 },
    /// It is not in the store, and the network must not be used.
    #[error("{location} is not in the store")]
    Offline { location: Box<Location> },
    /// The store did not take it.
    #[error("can't store {location}")]
    Store { location: Box<Location>, source: StoreError },
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

fn answerer(redirected_to: Option<&str>) -> String {
    redirected_to.map_or_else(|| "the server".to_owned(), |host| format!("{host}, to which the server redirects,"))
}

fn tries(attempts: u32) -> String {
    if attempts > 1 { format!(" after {attempts} attempts") } else { String::new() }
}
