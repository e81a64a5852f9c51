//! The compose file: how a site's images run together on one host.
//!
//! It has no `version`, and a `name`, which docker-compose 1 doesn't read. Paths are relative to the file, so that it can
//! be written on one machine and run on another. Compose specification:
//! <https://github.com/compose-spec/compose-spec/blob/main/spec.md>.

mod error;
mod file;
mod header;
mod mounts;
mod read;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};

use camino::Utf8Path;

use crate::config::{Mount, Network, Project, Publish, Recipe, Site};
use crate::digest::Sha256;
use crate::oci::{local_reference, registry_reference};

pub use error::ComposeError;
use file::{Dependency, File, Healthcheck, Logging, NamedVolume, Networking, SecretFile, Service, SiteNetwork};
pub use read::{ComposeFile, Composed, read};

/// The label of a service that says how it is configured. A container with another label was made from another file.
pub const CONFIGURATION: &str = "org.mailimg.configuration";

/// The secrets directory, as the compose file names it.
const SECRETS: &str = "./secrets";

/// Writes the compose file of a project for the images with these manifest digests. The same input gives the same
/// bytes.
pub fn compose(project: &Project, images: &BTreeMap<String, Sha256>) -> Result<String, ComposeError> {
    let recipes: Vec<&Recipe> = project.recipes().collect();
    let names: BTreeSet<&str> = recipes.iter().map(|recipe| recipe.name.as_str()).collect();
    let site = project.site();
    let mut file = File { name: project.name("the compose file")?.to_string(), ..File::default() };
    for recipe in &recipes {
        let digest = images.get(&recipe.name).ok_or_else(|| ComposeError::NotBuilt { image: recipe.name.clone() })?;
        let mut service = service(project, recipe, &names, *digest)?;
        service.labels.insert(CONFIGURATION, fingerprint(&service)?);
        for network in &recipe.service.networks {
            file.networks.insert(network_name(*network, site), site_network(*network, site, &file.name));
        }
        for volume in recipe.service.volumes.keys() {
            file.volumes.insert(volume.to_string(), NamedVolume { driver: "local" });
        }
        for secret in recipe.service.secrets.keys() {
            file.secrets.insert(secret.to_string(), SecretFile { file: literal(&format!("{SECRETS}/{secret}")) });
        }
        file.services.insert(recipe.name.clone(), service);
    }
    Ok(header::header(project, &recipes) + &file.to_yaml()?)
}

/// Differs for services that differ in anything.
fn fingerprint(service: &Service) -> Result<String, ComposeError> {
    let json = serde_json::to_vec(service).map_err(|error| ComposeError::Yaml { source: Box::new(error) })?;
    Ok(Sha256::of(json).to_string())
}

fn service(
    project: &Project,
    recipe: &Recipe,
    names: &BTreeSet<&str>,
    digest: Sha256,
) -> Result<Service, ComposeError> {
    let site = project.site();
    let wanted = &recipe.service;
    let hostname = project.service_hostname(recipe)?;
    let aliases: Vec<String> = hostname.iter().cloned().collect();
    let networks = wanted.networks.iter().map(|network| {
        let aliases = if *network == Network::Internal { aliases.clone() } else { Vec::new() };
        (network_name(*network, site), Networking { aliases })
    });
    Ok(Service {
        image: site.registry.as_ref().map_or_else(
            || local_reference(&recipe.name, digest),
            |registry| registry_reference(registry.prefix.as_str(), &recipe.name, digest),
        ),
        labels: BTreeMap::new(),
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
        ports: published(&wanted.publish, &site.publish),
        volumes: volumes(site, recipe),
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

fn published(ports: &[u16], publish: &Publish) -> Vec<String> {
    let on = |port: u16, address: &IpAddr| match address {
        IpAddr::V4(address) => format!("{address}:{}:{port}", publish.host_port(port)),
        IpAddr::V6(address) => format!("[{address}]:{}:{port}", publish.host_port(port)),
    };
    ports.iter().flat_map(|port| publish.bind.iter().map(move |address| on(*port, address))).collect()
}

fn volumes(site: &Site, recipe: &Recipe) -> Vec<file::Volume> {
    let named = recipe.service.volumes.iter().map(|(name, target)| file::Volume::named(name, target));
    let secret = |name: &str, target| vec![file::Volume::bound(&Utf8Path::new(SECRETS).join(name), target)];
    let bound = recipe.service.mounts.iter().flat_map(|(mount, target)| match (mount, &site.tls.directory) {
        (Mount::Tls, Some(directory)) => mounts::certificate(directory, target),
        (Mount::Tls, None) => secret("tls", target),
        (Mount::Dkim, _) => secret("dkim", target),
    });
    named.chain(bound).collect()
}

/// With IPv6, the outside network has another name, because compose keeps a network that is there as it is.
fn network_name(network: Network, site: &Site) -> &'static str {
    match network {
        Network::Internal => "internal",
        Network::Outside if site.publish.has_ipv6() => "outside-ipv6",
        Network::Outside => "outside",
    }
}

fn site_network(network: Network, site: &Site, name: &str) -> SiteNetwork {
    match network {
        Network::Internal => SiteNetwork::new(true, None),
        Network::Outside => SiteNetwork::new(false, site.publish.has_ipv6().then(|| local_subnet(name))),
    }
}

/// A subnet of unique local addresses, whose 40 random bits (RFC 4193, 3.2) are taken from the site's name. The engine
/// translates them to the host's address. Engines before Docker 27 don't choose a subnet themselves.
fn local_subnet(name: &str) -> String {
    let random = Sha256::of(name);
    let prefix = random.as_bytes().iter().take(5).fold(0xfd, |bits, byte| bits << 8 | u128::from(*byte));
    format!("{}/64", Ipv6Addr::from(prefix << 80))
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
