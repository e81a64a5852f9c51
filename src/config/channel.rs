use std::collections::BTreeMap;

use serde::Deserialize;

/// `apk-locks/<channel>/channel.toml`: the repositories that recipes are locked against, and what vouches for them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Channel {
    /// One line on what it is.
    pub description: String,
    /// Architectures in apk's words: `x86_64`, `aarch64`.
    pub architectures: Vec<String>,
    /// Where packages are, in the order in which apk would list them.
    #[serde(rename = "repository")]
    pub repositories: Vec<Repository>,
    /// Trusted signing keys: file name to the SHA-256 of the key file.
    #[serde(default)]
    pub keys: BTreeMap<String, String>,
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
