use camino::Utf8PathBuf;

use super::text::ParseError;
use crate::config::ReadError;

/// A lock can't be read.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// There is no such file.
    #[error("there is no lock at {path}")]
    Missing { path: Utf8PathBuf },
    /// The file can't be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The file is no lock.
    #[error("{path}, {source}")]
    Parse { path: Utf8PathBuf, source: ParseError },
}
