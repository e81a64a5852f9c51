use std::io;

use camino::Utf8PathBuf;

use super::scripts::Unclassified;
use crate::apk::DependencyError;
use crate::apk::index::IndexFileError;
use crate::apk::signature::KeyError;
use crate::config::ConfigError;
use crate::fetch::{FetchError, Location, SourceError};
use crate::lock::{Change, LockError, ParseError};
use crate::packages::ObtainError;
use crate::repo::RepoError;
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
    #[error("{text:?} in the world of {image} is not a valid dependency")]
    World { image: String, text: String, source: DependencyError },
    /// A name given to `--update` is not locked.
    #[error("no lock contains {name}")]
    NotLocked { name: String },
    /// A package can't be fetched, or its repository doesn't exist.
    #[error(transparent)]
    Packages(#[from] ObtainError),
    /// A repository's location is invalid.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// Something can't be fetched, or differs from what was expected.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file can't be read.
    #[error("can't read {path}")]
    Read { path: Utf8PathBuf, source: io::Error },
    /// An old lock can't be read.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The keys given for repositories can't be read.
    #[error(transparent)]
    GivenKeys(#[from] RepoError),
    /// A key can't be used.
    #[error("can't use the key {path}")]
    Key { path: String, source: KeyError },
    /// The channel's keys can't be fetched.
    #[error("can't fetch the keys of channel {channel:?}")]
    Keys { channel: String, source: FetchError },
    /// There is no trusted key.
    #[error("no trusted key for channel {channel:?}{}", .directory.as_ref().map(|d| format!(" in {d}")).unwrap_or_default())]
    NoKeys { channel: String, directory: Option<Utf8PathBuf> },
    /// An index has no trusted signature, or is malformed.
    #[error("the index {location} was rejected")]
    Index { location: Box<Location>, source: Box<IndexFileError> },
    /// The index of a repository without a channel has no signature of the keys in the directory, or is malformed.
    #[error("the index {location} was rejected")]
    GivenIndex { location: Box<Location>, keys: Utf8PathBuf, source: Box<IndexFileError> },
    /// The world has no solution.
    #[error("{image}: the requested packages can't be installed together")]
    Unsolvable { image: String, source: Unsolvable },
    /// An index lacks a field that a lock needs.
    #[error("the index has no {field} for {package}")]
    NotInIndex { package: String, field: &'static str },
    /// The index lists packages that its repository doesn't have.
    #[error("{}", not_in_repository(.answers))]
    NotInRepository { answers: Vec<FetchError> },
    /// A package doesn't match the index.
    #[error("{package} doesn't match the index: its {field} is {found}, the index says {expected}")]
    NotAsIndexed { package: String, field: &'static str, expected: String, found: String },
    /// The channel has no rule for some scripts.
    #[error("channel {channel:?} has no rule for these scripts:\n\n{}", list(.scripts))]
    Scripts { channel: String, scripts: Vec<Unclassified> },
    /// The result can't be written as a lock.
    #[error("can't write the lock: {source}")]
    Unwritable { source: ParseError },
    /// The result takes something back to an older state.
    #[error(transparent)]
    Regression(#[from] Regression),
}

/// A new lock takes something back to an older state.
#[derive(Debug, thiserror::Error)]
pub enum Regression {
    /// The repository's index is older than the locked one.
    #[error("the newest package in {repository} is from {found}; the lock was made when it was from {locked}")]
    OlderIndex {
        repository: String,
        /// The build time of the newest package in the locked index.
        locked: Timestamp,
        /// The build time of the newest package in this index.
        found: Timestamp,
    },
    /// Packages would be downgraded.
    #[error("{image}: packages would be downgraded:\n{}", list(.changes))]
    Downgrade { image: String, changes: Vec<Change> },
}

fn not_in_repository(answers: &[FetchError]) -> String {
    let mut lines: Vec<String> = answers.iter().map(ToString::to_string).collect();
    lines.sort();
    match &lines[..] {
        [one] => one.clone(),
        lines => {
            format!("the repository doesn't have {} packages of its index:\n  {}", lines.len(), lines.join("\n  "))
        }
    }
}

fn list(items: &[impl ToString]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}
