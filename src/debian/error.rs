use std::io;

use camino::Utf8PathBuf;

use super::deb::DebError;
use crate::config::ConfigError;
use crate::store::WriteError;

/// Why Debian packages could not be imported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    #[error(transparent)]
    Mapping(#[from] ConfigError),
    /// No channel imports the suite.
    #[error("no {channels}/*/import.toml for the suite {suite:?}")]
    NoMapping { channels: Utf8PathBuf, suite: String, known: Vec<String> },
    /// A local file could not be read or written.
    #[error("can't use {path}")]
    File { path: Utf8PathBuf, source: io::Error },
    /// A local file could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// There is no `apt-get` on this machine, or it can't be started.
    #[error("can't run apt-get")]
    RunApt { source: io::Error },
    /// The machine's apt configuration contains no Debian archive, and no mirror was given.
    #[error("this machine's apt configuration has no Debian mirror for {suite}")]
    NoMirror { suite: String },
    /// A mirror's URL with credentials, which would be in files and messages.
    #[error("{url} contains a user name or a password")]
    Credentials {
        /// The URL with stars instead.
        url: String,
    },
    /// `apt-get` ended with an error.
    #[error("apt-get {action} failed: {message}")]
    Apt { action: &'static str, message: String },
    /// This machine has no key for the suite.
    #[error("this machine has no key for {suite}: {message}")]
    Keyring { suite: String, message: String },
    /// The suite has no such package.
    #[error("{wanted_by} asks for the Debian package {name:?}, which {suite} doesn't have")]
    NoPackage { name: String, wanted_by: String, suite: String },
    /// A downloaded file doesn't match Debian's signed lists.
    #[error("{file}: expected SHA-256 {expected}, found {found}")]
    Hash { file: String, expected: String, found: String },
    /// A package could not be read.
    #[error("{file}")]
    Deb { file: String, source: DebError },
    /// No known package contains a required library.
    #[error("{package}: {file} needs the library {library}, which neither the package nor its dependencies contain")]
    NoLibrary { package: String, file: String, library: String },
    /// The mapping names a path that the package doesn't contain.
    #[error("{package}: the mapping names {path:?}, which the package doesn't contain")]
    NoPath { package: String, path: String },
    /// An owner has no id.
    #[error("{package}: {path:?} belongs to the {kind} {name:?}, which has no id in the mapping")]
    NoAccount { package: String, path: String, kind: &'static str, name: String },
    /// A control file lacks a field, or has an invalid one.
    #[error("{package}: control field {field} is missing or malformed")]
    Control { package: String, field: &'static str },
    /// The architecture is not supported.
    #[error("architecture {arch:?} can't be imported: expected amd64 or arm64")]
    NoArch { arch: String },
    /// The signing key can't be used.
    #[error("can't use the repository's key: {message}")]
    Key { message: String },
    /// Something can't be represented in apk's formats.
    #[error("{package}: {message}")]
    Unwritable { package: String, message: String },
}

impl ImportError {
    /// For errors of local files.
    pub(super) fn file(path: impl Into<Utf8PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}
