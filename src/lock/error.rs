use std::io;

use camino::Utf8PathBuf;

use super::change::Change;
use super::text::ParseError;
use crate::apk::DependencyError;
use crate::apk::index::IndexFileError;
use crate::apk::package::PackageError;
use crate::apk::signature::{KeyError, SignatureError};
use crate::config::ConfigError;
use crate::fetch::{FetchError, Location, SourceError};
use crate::registry::RegistryError;
use crate::resolve::Unclassified;
use crate::solve::Unsolvable;
use crate::store::StoreError;
use crate::timestamp::Timestamp;

/// A lock could not be made, read or fulfilled.
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
    /// What was locked can't be written in a lock's format.
    #[error("can't write this as a lock: {source}")]
    Unwritable {
        /// What is in the way.
        source: ParseError,
    },
    /// The recipe is not for the channel.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// No repository of that name.
    #[error("the channel has no repository {name:?}; it has {}", .known.join(", "))]
    UnknownRepository {
        /// The name.
        name: String,
        /// Names that there are.
        known: Vec<String>,
    },
    /// Not an architecture of the channel.
    #[error("channel {channel:?} is not for {arch}; it is for {}", .known.join(", "))]
    UnknownArch {
        /// The channel.
        channel: String,
        /// The architecture.
        arch: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// A repository's place can't be understood.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// Something can't be fetched, or isn't what was expected.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The imported repository has not been made yet.
    #[error("there is no repository in {directory}")]
    NotImported {
        /// Where it should be.
        directory: Utf8PathBuf,
    },
    /// Neither the repository has a package any more, nor the registry.
    #[error("{location} does not exist, and {registry} does not have {package} either")]
    Gone {
        /// The package's file name.
        package: String,
        /// Where it should be.
        location: Box<Location>,
        /// The registry's repository.
        registry: String,
        /// What the registry says.
        source: Box<RegistryError>,
    },
    /// A package that its repository does not have any more can't be had from the registry.
    #[error("{location} does not exist, and {package} can't be had from {registry}")]
    Registry {
        /// The package's file name.
        package: String,
        /// Where it should be.
        location: Box<Location>,
        /// The registry's repository.
        registry: String,
        /// Why.
        source: Box<RegistryError>,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A key can't be used.
    #[error("can't use the key {path}")]
    Key {
        /// The key file.
        path: String,
        /// Why.
        source: KeyError,
    },
    /// Where the channel's keys are can't be reached.
    #[error("can't get the keys of channel {channel:?}")]
    Keys {
        /// The channel.
        channel: String,
        /// Why.
        source: FetchError,
    },
    /// There is not a single trusted key.
    #[error("no trusted key for channel {channel:?}{}", .directory.as_ref().map(|d| format!(" in {d}")).unwrap_or_default())]
    NoKeys {
        /// The channel.
        channel: String,
        /// The keys directory, if there is one.
        directory: Option<Utf8PathBuf>,
    },
    /// Nothing trusted vouches for an index, or it is malformed.
    #[error("the index {location} is refused")]
    Index {
        /// Where it is.
        location: Box<Location>,
        /// Why.
        source: Box<IndexFileError>,
    },
    /// A dependency in a recipe's world is malformed.
    #[error("{text:?} in the world of {image} is not a dependency")]
    World {
        /// The image.
        image: String,
        /// The text.
        text: String,
        /// What is wrong with it.
        source: DependencyError,
    },
    /// A name given to `--update` is not locked.
    #[error("{name} is in none of the locks")]
    NotLocked {
        /// The name.
        name: String,
    },
    /// The world can't be installed.
    #[error("{image}: the requested packages can't be installed together")]
    Unsolvable {
        /// The image.
        image: String,
        /// What clashes.
        source: Unsolvable,
    },
    /// An index says too little about a package to lock it.
    #[error("the index says no {field} for {package}")]
    NotInIndex {
        /// The package's file name.
        package: String,
        /// What is missing.
        field: &'static str,
    },
    /// A package can't be read.
    #[error("{package} is refused")]
    Package {
        /// The package's file name.
        package: String,
        /// Why.
        source: PackageError,
    },
    /// The file can't be read from the store.
    #[error("can't read {package} in the store")]
    Stored {
        /// The package's file name.
        package: String,
        /// Why.
        source: io::Error,
    },
    /// Nothing trusted vouches for a package.
    #[error("{package} is refused")]
    Signature {
        /// The package's file name.
        package: String,
        /// Why.
        source: SignatureError,
    },
    /// A package is not the one that the index describes.
    #[error("{package} is not the package that the index describes: {field} is {found}, in the index {expected}")]
    NotAsIndexed {
        /// The package's file name.
        package: String,
        /// What differs.
        field: &'static str,
        /// What the index says.
        expected: String,
        /// What the package says.
        found: String,
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
    /// Scripts of which nobody has said what becomes of them.
    #[error("scripts that nobody has classified for channel {channel:?}:\n\n{}", list(.scripts))]
    Scripts {
        /// The channel.
        channel: String,
        /// The scripts.
        scripts: Vec<Unclassified>,
    },
    /// The repository's index is older than the one that was locked.
    #[error("the newest package in {repository} is of {found}; when it was locked, there was one of {locked}")]
    OlderIndex {
        /// The repository.
        repository: String,
        /// When the newest package was built that was in the locked one.
        locked: Timestamp,
        /// When the newest that is in this one was built.
        found: Timestamp,
    },
    /// Packages would get older.
    #[error("{image}: packages would become older:\n{}", list(.changes))]
    Downgrade {
        /// The image.
        image: String,
        /// The packages.
        changes: Vec<Change>,
    },
}

fn list(items: &[impl ToString]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}
