use std::io;

use camino::Utf8PathBuf;

use super::text::ParseError;

/// A lock can't be read.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// There is no such file.
    #[error("there is no lock {path}")]
    Missing {
        /// Where it was looked for.
        path: Utf8PathBuf,
    },
    /// The file can't be read.
    #[error("can't read {path}")]
    Read {
        /// The file.
        path: Utf8PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is no lock.
    #[error("{path}, {source}")]
    Parse {
        /// The file.
        path: Utf8PathBuf,
        /// What is wrong with it, and where.
        source: ParseError,
    },
}
