use std::io;

use camino::Utf8PathBuf;

use crate::apk::index::IndexFileError;
use crate::apk::package::PackageError;
use crate::apk::signature::{KeyError, SignatureError};
use crate::store::WriteError;

/// Why a repository can't be created or checked.
#[derive(Debug, thiserror::Error)]
pub enum RepoError {
    /// A file or directory can't be read.
    #[error("can't read {path}")]
    Read { path: Utf8PathBuf, source: io::Error },
    /// A file can't be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A file is too large.
    #[error("{path} is larger than {limit} bytes")]
    TooLarge { path: Utf8PathBuf, limit: u64 },
    /// A package is malformed or hostile.
    #[error("{path} was rejected")]
    Package { path: Utf8PathBuf, source: PackageError },
    /// A package has no trusted signature.
    #[error("{path} is not trusted")]
    Untrusted { path: Utf8PathBuf, source: SignatureError },
    /// An index can't be read, created or trusted.
    #[error("{path} was rejected")]
    Index { path: Utf8PathBuf, source: IndexFileError },
    /// A key can't be used.
    #[error("can't use the key {path}")]
    Key { path: Utf8PathBuf, source: KeyError },
    /// A directory of keys is empty or missing.
    #[error("{directory} contains no keys: no file name ends with .rsa.pub")]
    NoKeys { directory: Utf8PathBuf },
    /// A key would be overwritten.
    #[error("{path} already exists")]
    KeyExists { path: Utf8PathBuf },
    /// There is nothing to index.
    #[error("{directory} contains no packages: no file name ends with .apk")]
    NoPackages { directory: Utf8PathBuf },
    /// A package's file name is not the one that apk will request.
    #[error("{path} must be named {expected}: that is how the package is fetched")]
    FileName {
        path: Utf8PathBuf,
        /// The name that follows from the package's name and version.
        expected: String,
    },
    /// The packages are for different architectures, but an index can only list one.
    #[error("{path} is for {found}, but the index is for {expected}")]
    Architecture { path: Utf8PathBuf, found: String, expected: String },
    /// All packages fit any architecture, so the index's architecture is unknown.
    #[error("all packages are noarch, so the repository's architecture is unknown")]
    NoArchitecture,
}
