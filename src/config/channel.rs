use std::collections::BTreeMap;

use serde::Deserialize;

use super::ConfigError;
use super::scripts::ScriptRule;
use crate::digest::Sha256;

/// `apk-locks/<channel>/channel.toml` describes a channel: the repositories that recipes are locked against, and the
/// keys that sign them.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Channel {
    /// Name of its folder.
    #[serde(skip)]
    pub name: String,
    /// One line on what the channel is.
    pub description: String,
    /// Architectures by apk's names, such as `x86_64` and `aarch64`. The first is the default.
    pub architectures: Vec<String>,
    /// For packages of another distribution: how to make the channel's repository on this machine. Such a channel has no
    /// other repositories. Its locks pin each package and what it was made of, but neither key nor index, which differ
    /// between machines.
    #[serde(default)]
    pub import: Option<Import>,
    /// Where packages are, in the order of apk's `repositories` file.
    #[serde(default, rename = "repository")]
    pub repositories: Vec<Repository>,
    /// Trusted signing keys: the file name of each, and the SHA-256 of its content.
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "BTreeMap<String, String>"))]
    pub keys: BTreeMap<String, Sha256>,
    /// Where to fetch key files that no keys directory has, such as `https://alpinelinux.org/keys`. Each must have the
    /// SHA-256 that `keys` gives.
    #[serde(default)]
    pub keys_url: Option<String>,
    /// What becomes of packages' scripts: `scripts.toml` next to `channel.toml`.
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

/// How to make a channel's repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Import {
    /// With `mailimg repo import-debian`. Locks call the repository `debian`.
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
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Repository {
    /// Short name that locks use for it, such as `main`.
    pub name: String,
    /// Its URL (`https://…` or `http://…`) or a directory. Its index is `<url>/<arch>/APKINDEX.tar.gz`.
    pub url: String,
    /// If set, packages come from this repository only if a recipe asks for `<package>@<tag>`.
    #[serde(default)]
    pub tag: Option<String>,
}
