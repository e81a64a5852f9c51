use std::io;

use camino::Utf8PathBuf;

use crate::apk::index::IndexFileError;
use crate::apk::package::PackageError;
use crate::apk::signature::{KeyError, SignatureError};
use crate::store::WriteError;

/// Why a repository can't be made or checked.
#[derive(Debug, thiserror::Error)]
pub enum RepoError {
    /// A file or directory can't be read.
    #[error("can't read {path}")]
    Read {
        /// Which one.
        path: Utf8PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file can't be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A file is larger than any real one.
    #[error("{path} is larger than {limit} bytes")]
    TooLarge {
        /// Which one.
        path: Utf8PathBuf,
        /// How much is allowed.
        limit: u64,
    },
    /// A package is malformed or hostile.
    #[error("{path} is refused")]
    Package {
        /// Which one.
        path: Utf8PathBuf,
        /// What is wrong with it.
        source: PackageError,
    },
    /// Nobody trusted vouches for a package.
    #[error("{path} is not trusted")]
    Untrusted {
        /// Which one.
        path: Utf8PathBuf,
        /// Why not.
        source: SignatureError,
    },
    /// An index can't be read, made or trusted.
    #[error("{path} is refused")]
    Index {
        /// Which one.
        path: Utf8PathBuf,
        /// What is wrong with it.
        source: IndexFileError,
    },
    /// A key can't be used.
    #[error("the key {path} can't be used")]
    Key {
        /// Its file.
        path: Utf8PathBuf,
        /// Why not.
        source: KeyError,
    },
    /// There is no key in a directory of keys, or no such directory.
    #[error("there are no keys in {directory}: no file in it ends with .rsa.pub")]
    NoKeys {
        /// The directory.
        directory: Utf8PathBuf,
    },
    /// A key would be overwritten.
    #[error("{path} is there already")]
    KeyExists {
        /// The file.
        path: Utf8PathBuf,
    },
    /// There is nothing to index.
    #[error("{directory} has no packages: no file in it ends with .apk")]
    NoPackages {
        /// The directory.
        directory: Utf8PathBuf,
    },
    /// The file name of a package is not the one under which apk will ask for it.
    #[error("{path} must be called {expected}: that is the name under which the package is fetched")]
    FileName {
        /// The file.
        path: Utf8PathBuf,
        /// What name and version of the package make it.
        expected: String,
    },
    /// Packages for different architectures, of which an index can list only one.
    #[error("{path} is for {found}, but the index is for {expected}")]
    Architecture {
        /// The package.
        path: Utf8PathBuf,
        /// Its architecture.
        found: String,
        /// That of the others, or as it was asked for.
        expected: String,
    },
    /// All packages fit any architecture, so that it is not known which one the index is for.
    #[error("all packages are noarch, so that the architecture of the repository can't be told from them")]
    NoArchitecture,
}
