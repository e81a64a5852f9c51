use std::io;

use camino::Utf8PathBuf;

use super::scripts::Unclassified;
use crate::apk::DependencyError;
use crate::apk::index::IndexFileError;
use crate::apk::signature::KeyError;
use crate::config::ConfigError;
use crate::fetch::{FetchError, Location, SourceError};
use crate::lock::{Change, ParseError};
use crate::packages::ObtainError;
use crate::solve::Unsolvable;
use crate::store::StoreError;
use crate::timestamp::Timestamp;

/// A lock can't be made.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// The recipe is not for the channel.
    #[error(transparent)]
    Config(#[from] ConfigError),
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
    /// A package can't be had, or its repository is not there.
    #[error(transparent)]
    Packages(#[from] ObtainError),
    /// A repository's place can't be understood.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// Something can't be fetched, or isn't what was expected.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file can't be read.
    #[error("can't read {path}")]
    Read {
        /// The file.
        path: Utf8PathBuf,
        /// Why.
        source: io::Error,
    },
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
    /// Scripts of which nobody has said what becomes of them.
    #[error("scripts that nobody has classified for channel {channel:?}:\n\n{}", list(.scripts))]
    Scripts {
        /// The channel.
        channel: String,
        /// The scripts.
        scripts: Vec<Unclassified>,
    },
    /// What was locked can't be written in a lock's format.
    #[error("can't write this as a lock: {source}")]
    Unwritable {
        /// What is in the way.
        source: ParseError,
    },
}

/// A new lock takes something back to an older state.
#[derive(Debug, thiserror::Error)]
pub enum Regression {
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
