//! The compose file: how a site's images run together on one host.
//!
//! It uses the subset that both `docker compose` v2 and docker-compose 1.29 read, so it has no `version` and no `name`.
//! Compose specification: <https://github.com/compose-spec/compose-spec/blob/main/spec.md>.

mod error;
mod file;
mod mounts;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use camino::{Utf8Path, Utf8PathBuf};

use crate::config::{Mount, Network, Project, Recipe, Site};
use crate::digest::Sha256;
use crate::oci::{local_reference, registry_reference};

pub use error::ComposeError;
use file::{Dependency, File, Healthcheck, Logging, NamedVolume, Networking, PrivateNetwork, SecretFile, Service};

/// The options of a compose file that don't come from the project.
#[derive(Debug, Clone)]
pub struct Options {
    /// Manifest digest of each image.
    pub images: BTreeMap<String, Sha256>,
    /// Host addresses to publish ports on.
    pub bind: Vec<IpAddr>,
    /// Host ports that differ from the container's: container port to host port.
    pub ports: BTreeMap<u16, u16>,
    /// The secrets directory, absolute or relative to the compose file.
    pub secrets: Utf8PathBuf,
}

/// The project's secrets directory for a compose file at `file`, or one that is only printed: relative if both are in
/// the project directory, so that they can be moved together.
pub fn secrets_dir(project: &Project, file: Option<&Utf8Path>) -> Result<Utf8PathBuf, ComposeError> {
    let root = project.root();
    let root = root.canonicalize_utf8().map_err(|source| ComposeError::Read { path: root.to_owned(), source })?;
    let beside = file.and_then(Utf8Path::parent).map(|it| if it.as_str().is_empty() { Utf8Path::new(".") } else { it });
    let beside = beside.and_then(|parent| parent.canonicalize_utf8().ok());
    Ok(if beside.is_some_and(|parent| parent == root) { "./secrets".into() } else { root.join("secrets") })
}

/// Writes the compose file of a project. The same input gives the same bytes.
pub fn compose(project: &Project, options: &Options) -> Result<String, ComposeError> {
    let recipes: Vec<&Recipe> = project.recipes().collect();
    check_ports(&recipes, options)?;
    let names: BTreeSet<&str> = recipes.iter().map(|recipe| recipe.name.as_str()).collect();
    let mut file = File::default();
    for recipe in &recipes {
        let service = service(project, recipe, &names, options)?;
        for network in &recipe.service.networks {
            file.networks.insert(network_name(*network), PrivateNetwork { internal: *network == Network::Internal });
        }
        for volume in recipe.service.volumes.keys() {
            file.volumes.insert(volume.to_string(), NamedVolume { driver: "local" });
        }
        for secret in recipe.service.secrets.keys() {
            let path = options.secrets.join(secret.as_str());
            file.secrets.insert(secret.to_string(), SecretFile { file: literal(path.as_str()) });
        }
        file.services.insert(recipe.name.clone(), service);
    }
    file.to_yaml()
}

fn service(
    project: &Project,
    recipe: &Recipe,
    names: &BTreeSet<&str>,
    options: &Options,
) -> Result<Service, ComposeError> {
    let site = project.site();
    let digest =
        *options.images.get(&recipe.name).ok_or_else(|| ComposeError::NotBuilt { image: recipe.name.clone() })?;
    let wanted = &recipe.service;
    let hostname = project.service_hostname(recipe)?;
    let aliases: Vec<String> = hostname.iter().cloned().collect();
    let networks = wanted.networks.iter().map(|network| {
        let aliases = if *network == Network::Internal { aliases.clone() } else { Vec::new() };
        (network_name(*network), Networking { aliases })
    });
    Ok(Service {
        image: site.registry.as_ref().map_or_else(
            || local_reference(&recipe.name, digest),
            |registry| registry_reference(registry.prefix.as_str(), &recipe.name, digest),
        ),
        // Never pull somebody else's image of the same name from the Internet.
        pull_policy: site.registry.is_none().then_some("never"),
        hostname: hostname.unwrap_or_else(|| recipe.name.clone()),
        restart: "unless-stopped",
        depends_on: wanted
            .depends_on
            .iter()
            .filter(|name| names.contains(name.as_str()))
            .map(|name| (name.to_string(), Dependency { condition: "service_healthy" }))
            .collect(),
        networks: networks.collect(),
        dns: wanted.dns.iter().map(ToString::to_string).collect(),
        ports: published(&wanted.publish, options),
        volumes: volumes(site, recipe, options),
        secrets: wanted.secrets.keys().map(ToString::to_string).collect(),
        read_only: true,
        tmpfs: wanted.tmpfs.iter().map(|(path, mount)| literal(&format!("{path}:{mount}"))).collect(),
        cap_drop: vec!["ALL"],
        cap_add: wanted.capabilities.clone(),
        security_opt: vec!["no-new-privileges:true"],
        mem_limit: wanted.memory.map(|memory| format!("{memory}m")),
        // A container may use a whole idle processor; `cpu_shares` decides the priority when it is busy.
        cpus: 1.0,
        cpu_shares: wanted.cpu_shares,
        pids_limit: 256,
        healthcheck: recipe.image.healthcheck.as_ref().map(|check| Healthcheck {
            test: std::iter::once("CMD".to_owned()).chain(check.command.iter().map(|word| literal(word))).collect(),
            interval: seconds(check.interval),
            timeout: seconds(check.timeout),
            start_period: seconds(check.start_period),
            retries: check.retries,
        }),
        stop_grace_period: wanted.stop_grace_period.map(seconds),
        logging: Logging::default(),
    })
}

fn check_ports(recipes: &[&Recipe], options: &Options) -> Result<(), ComposeError> {
    let known: BTreeSet<u16> = recipes.iter().flat_map(|recipe| recipe.service.publish.iter().copied()).collect();
    if let Some(port) = options.ports.keys().find(|port| !known.contains(port)) {
        return Err(ComposeError::UnknownPort { port: *port, known: known.into_iter().collect() });
    }
    let mut taken = BTreeSet::new();
    match known.iter().map(|port| options.host_port(*port)).find(|port| !taken.insert(*port)) {
        Some(port) => Err(ComposeError::PortTwice { port }),
        None => Ok(()),
    }
}

impl Options {
    fn host_port(&self, port: u16) -> u16 {
        self.ports.get(&port).copied().unwrap_or(port)
    }
}

fn published(ports: &[u16], options: &Options) -> Vec<String> {
    let on = |port: u16, address: &IpAddr| match address {
        IpAddr::V4(address) => format!("{address}:{}:{port}", options.host_port(port)),
        IpAddr::V6(address) => format!("[{address}]:{}:{port}", options.host_port(port)),
    };
    ports.iter().flat_map(|port| options.bind.iter().map(move |address| on(*port, address))).collect()
}

fn volumes(site: &Site, recipe: &Recipe, options: &Options) -> Vec<file::Volume> {
    let named = recipe.service.volumes.iter().map(|(name, target)| file::Volume::named(name, target));
    let bound = recipe.service.mounts.iter().flat_map(|(mount, target)| match (mount, &site.tls.directory) {
        (Mount::Tls, Some(directory)) => mounts::certificate(directory, target),
        (Mount::Tls, None) => vec![file::Volume::bound(&options.secrets.join("tls"), target)],
        (Mount::Dkim, _) => vec![file::Volume::bound(&options.secrets.join("dkim"), target)],
    });
    named.chain(bound).collect()
}

fn network_name(network: Network) -> &'static str {
    match network {
        Network::Internal => "internal",
        Network::Outside => "outside",
    }
}

fn seconds(seconds: u32) -> String {
    format!("{seconds}s")
}

/// Escapes a text in which compose must not expand variables.
fn literal(text: &str) -> String {
    text.replace('$', "$$")
}

#[cfg(test)]
mod tests;
