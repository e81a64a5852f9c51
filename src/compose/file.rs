//! The structure of the compose file, with fields in the order in which they are written.

use std::collections::BTreeMap;

use camino::Utf8Path;
use serde::Serialize;

use super::{ComposeError, literal};

#[derive(Debug, Default, Serialize)]
pub(super) struct File {
    /// Without it, the project would be called like its directory, and lose its volumes when that is renamed.
    pub(super) name: String,
    pub(super) services: BTreeMap<String, Service>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) networks: BTreeMap<&'static str, SiteNetwork>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) volumes: BTreeMap<String, NamedVolume>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) secrets: BTreeMap<String, SecretFile>,
}

impl File {
    pub(super) fn to_yaml(&self) -> Result<String, ComposeError> {
        let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
        serde_saphyr::to_string_with_options(self, options)
            .map_err(|error| ComposeError::Yaml { source: Box::new(error) })
    }
}

#[derive(Debug, Serialize)]
pub(super) struct Service {
    pub(super) image: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) labels: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pull_policy: Option<&'static str>,
    pub(super) hostname: String,
    pub(super) restart: &'static str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) depends_on: BTreeMap<String, Dependency>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) networks: BTreeMap<&'static str, Networking>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) dns: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) ports: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) volumes: Vec<Volume>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) secrets: Vec<String>,
    pub(super) read_only: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) tmpfs: Vec<String>,
    pub(super) cap_drop: Vec<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) cap_add: Vec<String>,
    pub(super) security_opt: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mem_limit: Option<String>,
    pub(super) cpus: f32,
    pub(super) cpu_shares: u32,
    pub(super) pids_limit: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) healthcheck: Option<Healthcheck>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) stop_grace_period: Option<String>,
    pub(super) logging: Logging,
}

#[derive(Debug, Serialize)]
pub(super) struct Dependency {
    pub(super) condition: &'static str,
}

#[derive(Debug, Serialize)]
pub(super) struct Networking {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) aliases: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Volume {
    r#type: &'static str,
    source: String,
    target: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    read_only: bool,
}

impl Volume {
    pub(super) fn named(name: &str, target: &Utf8Path) -> Self {
        Self { r#type: "volume", source: name.to_owned(), target: literal(target.as_str()), read_only: false }
    }

    pub(super) fn bound(source: &Utf8Path, target: &Utf8Path) -> Self {
        Self { r#type: "bind", source: literal(source.as_str()), target: literal(target.as_str()), read_only: true }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct Healthcheck {
    pub(super) test: Vec<String>,
    pub(super) interval: String,
    pub(super) timeout: String,
    pub(super) start_period: String,
    pub(super) retries: u32,
}

/// At most 50 MB of logs per service.
#[derive(Debug, Serialize)]
pub(super) struct Logging {
    driver: &'static str,
    options: BTreeMap<&'static str, &'static str>,
}

impl Default for Logging {
    fn default() -> Self {
        Self { driver: "json-file", options: BTreeMap::from([("max-size", "10m"), ("max-file", "5")]) }
    }
}

/// A network of the site's own.
#[derive(Debug, Serialize)]
pub(super) struct SiteNetwork {
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) internal: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    enable_ipv6: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    ipam: Option<Ipam>,
}

impl SiteNetwork {
    pub(super) fn new(internal: bool, ipv6: Option<String>) -> Self {
        let enable_ipv6 = ipv6.is_some();
        Self { internal, enable_ipv6, ipam: ipv6.map(|subnet| Ipam { config: [Subnet { subnet }] }) }
    }
}

/// Addresses that the engine doesn't choose.
#[derive(Debug, Serialize)]
struct Ipam {
    config: [Subnet; 1],
}

#[derive(Debug, Serialize)]
struct Subnet {
    subnet: String,
}

#[derive(Debug, Serialize)]
pub(super) struct NamedVolume {
    pub(super) driver: &'static str,
}

#[derive(Debug, Serialize)]
pub(super) struct SecretFile {
    pub(super) file: String,
}
