use std::collections::BTreeMap;

use serde::Deserialize;

use super::ConfigError;
use super::scripts::ScriptRule;
use crate::digest::Sha256;

/// `apk-locks/<channel>/channel.toml`: the repositories that recipes are locked against, and what vouches for them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Channel {
    /// Name of its folder.
    #[serde(skip)]
    pub name: String,
    /// One line on what it is.
    pub description: String,
    /// Architectures in apk's words: `x86_64`, `aarch64`.
    pub architectures: Vec<String>,
    /// How the repository is made on this machine, for a channel whose packages come from another distribution.
    ///
    /// Such a channel lists no repositories: it has the one that `mailimg repo import-debian` makes, by default in a
    /// directory with the channel's name under the cache directory. Its locks pin each package and what it was made
    /// of, and neither the key nor the index, because both are made anew on every machine.
    #[serde(default)]
    pub import: Option<Import>,
    /// Where packages are, in the order in which apk would list them.
    #[serde(default, rename = "repository")]
    pub repositories: Vec<Repository>,
    /// Trusted signing keys: file name to the SHA-256 of the key file.
    #[serde(default)]
    pub keys: BTreeMap<String, Sha256>,
    /// Where key files are fetched from by name, when no keys directory has them: `https://alpinelinux.org/keys`. What
    /// comes must have the fingerprint above.
    #[serde(default)]
    pub keys_url: Option<String>,
    /// What becomes of packages' scripts: `scripts.toml` beside `channel.toml`.
    #[serde(skip)]
    pub scripts: Vec<ScriptRule>,
}

impl Channel {
    /// The architecture to work for: the one asked for, or the channel's first.
    pub fn architecture(&self, asked: Option<&str>) -> Result<String, ConfigError> {
        let known = &self.architectures;
        let found = asked.map_or_else(|| known.first(), |asked| known.iter().find(|known| *known == asked));
        found.cloned().ok_or_else(|| ConfigError::UnknownArch {
            channel: self.name.clone(),
            arch: asked.unwrap_or("any architecture").to_owned(),
            known: known.clone(),
        })
    }
}

/// What makes a channel's repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Import {
    /// `mailimg repo import-debian`; the repository's name in locks is `debian`.
    Debian,
}

/// One repository of a channel.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Repository {
    /// Short name by which locks refer to it: `main`.
    pub name: String,
    /// `https://…`, `http://…` or a directory; `<url>/<arch>/APKINDEX.tar.gz` is its index.
    pub url: String,
    /// Packages of a tagged repository are taken only for `name@tag`.
    #[serde(default)]
    pub tag: Option<String>,
}
