use std::io;

use camino::{Utf8Path, Utf8PathBuf};

use crate::digest::Sha256;

/// Why the store could not store or return content.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file system refused.
    #[error("can't {action} {path}")]
    Io {
        /// What was attempted, as a verb phrase before the path.
        action: &'static str,
        path: Utf8PathBuf,
        source: io::Error,
    },
    /// The source of the content could not be read.
    #[error("can't read the content to store")]
    Source { source: io::Error },
    /// The content has another hash than expected. Nothing was kept.
    #[error("SHA-256 is {found}, expected {expected} ({size} bytes)")]
    Digest { expected: Sha256, found: Sha256, size: u64 },
    /// The content is too large. Nothing was kept.
    #[error("larger than {limit} bytes")]
    TooLarge { limit: u64 },
    /// Somebody else than its owner may write to the store.
    #[error("others than its owner may write to {path} (mode {mode:04o})")]
    Shared { path: Utf8PathBuf, mode: u32 },
    /// A cache directory that nobody named belongs to another user.
    #[error("{path} belongs to another user")]
    Foreign { path: Utf8PathBuf },
    /// The system gives no thread to write with.
    #[error("can't start a thread")]
    Thread { source: io::Error },
    /// The store can't be cleaned while other processes use it.
    #[error("another mailimg process is using {path}")]
    Busy { path: Utf8PathBuf },
}

impl StoreError {
    /// For `map_err`: `action` failed on `path`.
    pub(super) fn io(action: &'static str, path: &Utf8Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}
