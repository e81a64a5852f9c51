use std::io;

use camino::Utf8PathBuf;

use super::deb::DebError;
use crate::config::ConfigError;
use crate::store::WriteError;

/// Why Debian packages could not be made into a repository.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The mapping file is wrong.
    #[error(transparent)]
    Mapping(#[from] ConfigError),
    /// No channel imports the suite.
    #[error("no {channels}/*/import.toml is for the suite {suite:?}")]
    NoMapping {
        /// The directory of the channels.
        channels: Utf8PathBuf,
        /// The suite asked for.
        suite: String,
        /// Suites that can be imported.
        known: Vec<String>,
    },
    /// A file of ours could not be read or written.
    #[error("can't use {path}")]
    File {
        /// Which one.
        path: Utf8PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file of ours could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// There is no `apt-get` on this machine.
    #[error("can't run apt-get")]
    NoApt {
        /// Why.
        source: io::Error,
    },
    /// The machine's apt configuration names no Debian archive, and no mirror was given.
    #[error("this machine's apt configuration names no Debian archive to take {suite} from")]
    NoMirror {
        /// The suite asked for.
        suite: String,
    },
    /// `apt-get` ended with an error.
    #[error("apt-get {action} failed: {message}")]
    Apt {
        /// Its first argument.
        action: &'static str,
        /// What it wrote, errors only where there are any.
        message: String,
    },
    /// The keys on this machine are older than the suite.
    #[error("no key on this machine vouches for {suite}: {message}")]
    Keyring {
        /// The suite asked for.
        suite: String,
        /// What apt wrote.
        message: String,
    },
    /// The suite has no such package.
    #[error("{wanted_by} asks for the Debian package {name:?}, which {suite} does not have")]
    NoPackage {
        /// Debian's name.
        name: String,
        /// Where the name is from.
        wanted_by: String,
        /// The suite asked for.
        suite: String,
    },
    /// A downloaded file is not what Debian's signed lists say.
    #[error("{file}: expected SHA-256 {expected}, found {found}")]
    Hash {
        /// The package file.
        file: String,
        /// From the signed list.
        expected: String,
        /// Of the file.
        found: String,
    },
    /// A package could not be read.
    #[error("{file}")]
    Deb {
        /// The package file.
        file: String,
        /// Why.
        source: DebError,
    },
    /// A library is needed that no known package has.
    #[error("{package}: {file} needs the library {library}, which neither it nor a package it depends on has")]
    NoLibrary {
        /// Debian's name.
        package: String,
        /// The program or library.
        file: String,
        /// What it needs.
        library: String,
    },
    /// The mapping names a path that the package does not have.
    #[error("{package}: the mapping names {path:?}, which the package does not have")]
    NoPath {
        /// Debian's name.
        package: String,
        /// As the mapping has it.
        path: String,
    },
    /// An owner is named that has no number.
    #[error("{package}: {path:?} belongs to {kind} {name:?}, which has no number in the mapping")]
    NoAccount {
        /// Debian's name.
        package: String,
        /// The file.
        path: String,
        /// `user` or `group`.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// A control file lacks a field, or holds something else than expected.
    #[error("{package}: control field {field} is missing or malformed")]
    Control {
        /// Debian's name or the file.
        package: String,
        /// The field.
        field: &'static str,
    },
    /// No channel is for this architecture.
    #[error("architecture {arch:?} can't be imported: expected amd64 or arm64")]
    NoArch {
        /// Debian's name of it.
        arch: String,
    },
    /// The signing key can't be used.
    #[error("the repository's key can't be used: {message}")]
    Key {
        /// Why.
        message: String,
    },
    /// Something that apk's formats can't hold.
    #[error("{package}: {message}")]
    Unwritable {
        /// Debian's name.
        package: String,
        /// What and why.
        message: String,
    },
}

impl ImportError {
    /// For errors of files that we read or write.
    pub(super) fn file(path: impl Into<Utf8PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}
