use std::io;

use camino::{Utf8Path, Utf8PathBuf};

use crate::digest::Sha256;

/// The store could not take or give content.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file system refused.
    #[error("can't {action} {path}")]
    Io {
        /// What was attempted, as a verb phrase that the path follows.
        action: &'static str,
        /// Where.
        path: Utf8PathBuf,
        /// Why: disk full, no permission, ….
        source: io::Error,
    },
    /// The content could not be read where it comes from.
    #[error("can't read what should come into the store")]
    Source {
        /// Why.
        source: io::Error,
    },
    /// The content is not what was expected. Nothing was kept.
    #[error("SHA-256 is {found}, expected {expected} ({size} bytes)")]
    Digest {
        /// What it should have been.
        expected: Sha256,
        /// What came.
        found: Sha256,
        /// Bytes that came.
        size: u64,
    },
    /// There is more content than there may be. Nothing was kept.
    #[error("larger than {limit} bytes")]
    TooLarge {
        /// The bound.
        limit: u64,
    },
    /// The store can't be cleaned while others use it.
    #[error("another mailimg process is using {path}")]
    Busy {
        /// The store's directory.
        path: Utf8PathBuf,
    },
}

impl StoreError {
    /// For `map_err`: the file system refused `action` on `path`.
    pub(super) fn io(action: &'static str, path: &Utf8Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}
