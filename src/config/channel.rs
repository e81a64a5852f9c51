use std::collections::BTreeMap;

use serde::Deserialize;

use super::ConfigError;
use super::scripts::ScriptRule;
use crate::digest::Sha256;

/// `apk-locks/<channel>/channel.toml`: the repositories that recipes are locked against, and their keys.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Channel {
    /// Name of its folder.
    #[serde(skip)]
    pub name: String,
    /// A one-line description.
    pub description: String,
    /// Architectures, as apk names them: `x86_64`, `aarch64`.
    pub architectures: Vec<String>,
    /// How to make the repository on this machine, for a channel with packages of another distribution.
    ///
    /// Such a channel lists no repositories: its only one is made by `mailimg repo import-debian`, by default in the
    /// cache directory, under the channel's name. Its locks pin each package and what it was made from, but neither key
    /// nor index, because these differ on every machine.
    #[serde(default)]
    pub import: Option<Import>,
    /// The repositories, in apk's order.
    #[serde(default, rename = "repository")]
    pub repositories: Vec<Repository>,
    /// Trusted signing keys: file name to the SHA-256 of the key file.
    #[serde(default)]
    pub keys: BTreeMap<String, Sha256>,
    /// The URL to fetch key files from, by name, if no keys directory is given: `https://alpinelinux.org/keys`. They
    /// must match the fingerprints above.
    #[serde(default)]
    pub keys_url: Option<String>,
    /// What replaces packages' scripts: `scripts.toml`, next to `channel.toml`.
    #[serde(skip)]
    pub scripts: Vec<ScriptRule>,
}

impl Channel {
    /// The requested architecture, or the channel's first.
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

/// How a channel's repository is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Import {
    /// By `mailimg repo import-debian`.
    Debian,
}

impl Import {
    /// The name of the repository it makes.
    #[must_use]
    pub fn repository(self) -> &'static str {
        match self {
            Self::Debian => "debian",
        }
    }
}

/// A repository of a channel.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Repository {
    /// Its short name in locks: `main`.
    pub name: String,
    /// `https://…`, `http://…` or a directory; `<url>/<arch>/APKINDEX.tar.gz` is its index.
    pub url: String,
    /// Packages of a tagged repository are used only for `name@tag`.
    #[serde(default)]
    pub tag: Option<String>,
}
