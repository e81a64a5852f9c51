use std::io;

use camino::Utf8PathBuf;

use super::gone::{self, Gone};
use crate::apk::package::PackageError;
use crate::apk::signature::SignatureError;
use crate::fetch::{FetchError, SourceError};
use crate::registry::RegistryError;
use crate::store::StoreError;

/// A package can't be fetched, or differs from what was expected.
#[derive(Debug, thiserror::Error)]
pub enum ObtainError {
    /// No repository of that name.
    #[error("the channel has no repository {name:?}; its repositories are {}", .known.join(", "))]
    UnknownRepository { name: String, known: Vec<String> },
    /// A repository's location is invalid.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The imported repository has not been made yet.
    #[error("there is no repository in {directory}")]
    NotImported { directory: Utf8PathBuf },
    /// Something can't be fetched, or differs from what was expected.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The registry to which images are pushed has an invalid name.
    #[error(transparent)]
    RegistryName { source: RegistryError },
    /// Packages that neither their repository nor a registry has any more.
    #[error("{}", gone::list(.packages))]
    Gone { packages: Vec<Gone> },
    /// A package that its repository doesn't have any more can't be pulled from the registry.
    #[error("{answer}, and pulling {package} from {registry} failed")]
    Registry { package: String, answer: Box<FetchError>, registry: String, source: Box<RegistryError> },
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file can't be read from the store.
    #[error("can't read {package} from the store")]
    Stored { package: String, source: io::Error },
    /// A package can't be read.
    #[error("{package} was rejected")]
    Package { package: String, source: PackageError },
    /// A package has no trusted signature.
    #[error("{package} was rejected")]
    Signature { package: String, source: SignatureError },
    /// A package doesn't match the lock.
    #[error("{package} doesn't match the lock: it has {found:?}, the lock says {expected:?}")]
    NotAsLocked { package: String, expected: String, found: String },
}
