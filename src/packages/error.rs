use std::io;

use camino::Utf8PathBuf;

use super::gone::{self, Gone};
use crate::apk::package::PackageError;
use crate::apk::signature::SignatureError;
use crate::fetch::{FetchError, SourceError};
use crate::registry::RegistryError;
use crate::store::StoreError;

/// A package can't be had, or isn't what it should be.
#[derive(Debug, thiserror::Error)]
pub enum ObtainError {
    /// No repository of that name.
    #[error("the channel has no repository {name:?}; it has {}", .known.join(", "))]
    UnknownRepository {
        /// The name.
        name: String,
        /// Names that there are.
        known: Vec<String>,
    },
    /// A repository's place can't be understood.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The imported repository has not been made yet.
    #[error("there is no repository in {directory}")]
    NotImported {
        /// Where it should be.
        directory: Utf8PathBuf,
    },
    /// Something can't be fetched, or isn't what was expected.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// Packages that neither their repository nor a registry has any more.
    #[error("{}", gone::list(.packages))]
    Gone {
        /// All of them.
        packages: Vec<Gone>,
    },
    /// A package that its repository doesn't have any more can't be pulled from the registry.
    #[error("{answer}, and pulling {package} from {registry} failed")]
    Registry {
        /// The package's file name.
        package: String,
        /// What its repository says.
        answer: Box<FetchError>,
        /// The registry's repository.
        registry: String,
        /// Why.
        source: Box<RegistryError>,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file can't be read from the store.
    #[error("can't read {package} in the store")]
    Stored {
        /// The package's file name.
        package: String,
        /// Why.
        source: io::Error,
    },
    /// A package can't be read.
    #[error("{package} is refused")]
    Package {
        /// The package's file name.
        package: String,
        /// Why.
        source: PackageError,
    },
    /// Nothing trusted vouches for a package.
    #[error("{package} is refused")]
    Signature {
        /// The package's file name.
        package: String,
        /// Why.
        source: SignatureError,
    },
    /// A package is not the one that the lock describes.
    #[error("{package} is not as the lock says: it has {found:?}, the lock {expected:?}")]
    NotAsLocked {
        /// The package's file name.
        package: String,
        /// The lock's line.
        expected: String,
        /// The line that the package would have.
        found: String,
    },
}
