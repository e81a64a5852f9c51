use std::io;

use camino::Utf8PathBuf;

use super::text::ParseError;

/// A lock can't be read.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// There is no such file.
    #[error("there is no lock at {path}")]
    Missing { path: Utf8PathBuf },
    /// The file can't be read.
    #[error("can't read {path}")]
    Read { path: Utf8PathBuf, source: io::Error },
    /// The file is no lock.
    #[error("{path}, {source}")]
    Parse { path: Utf8PathBuf, source: ParseError },
}
