use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::{DeployError, secrets};
use crate::build::{Selection, recall};
use crate::compose::{CONFIGURATION, ComposeFile, Composed, compose, read};
use crate::config::Project;
use crate::digest::Sha256;
use crate::engine::{Container, Health, Stack};
use crate::oci::{Images, ImagesError, Platform};
use crate::store::Store;

/// How far a site is.
#[derive(Debug)]
pub struct Status {
    /// The site's services in its order, then those that run although the site no longer has them.
    pub services: Vec<ServiceStatus>,
    /// What is behind.
    pub stale: Vec<Stale>,
}

/// How far a service is.
#[derive(Debug)]
pub struct ServiceStatus {
    pub service: String,
    /// The image that its lock, recipe and files make, if it has been built.
    pub configured: Option<Sha256>,
    /// The image in the layout.
    pub built: Option<Sha256>,
    /// What the compose file says.
    pub composed: Option<Composed>,
    pub container: Option<Container>,
}

/// Something that is older than what it is made from, with the names of services.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stale {
    /// Images.
    Images(Vec<String>),
    /// There is no compose file.
    NoComposeFile,
    /// The compose file.
    ComposeFile,
    /// Containers, or there are none.
    Containers(Vec<String>),
    /// Containers of services that the compose file doesn't have.
    Removed(Vec<String>),
    /// Containers that started with other secrets.
    Secrets(Vec<String>),
}

impl fmt::Display for Stale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Images(names) => {
                write!(f, "not built yet, or from another configuration or lock: {}", names.join(", "))
            }
            Self::NoComposeFile => f.write_str("there is no compose.yaml yet"),
            Self::ComposeFile => f.write_str("compose.yaml is older than the configuration or the built images"),
            Self::Containers(names) => write!(f, "not running as compose.yaml says: {}", names.join(", ")),
            Self::Removed(names) => write!(f, "running, but no longer in compose.yaml: {}", names.join(", ")),
            Self::Secrets(names) => write!(f, "running without the newest secrets: {}", names.join(", ")),
        }
    }
}

impl Stale {
    /// Its name for programs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Images(_) => "images",
            Self::NoComposeFile | Self::ComposeFile => "compose_file",
            Self::Containers(_) => "containers",
            Self::Removed(_) => "removed",
            Self::Secrets(_) => "secrets",
        }
    }
}

/// Compares what is configured, built, in the compose file and running. Builds nothing.
pub fn status(
    selection: &Selection,
    platform: Platform,
    store: &Store,
    stack: Option<&Stack>,
) -> Result<Status, DeployError> {
    let project = selection.project();
    let inputs = selection.inputs()?;
    let built = built(project, platform)?;
    let file = read(project.files(), &project.compose_file())?;
    let composed = |service: &str| file.as_ref().and_then(|file| file.services.get(service)).cloned();
    let mut containers = stack.map(Stack::containers).transpose()?.unwrap_or_default();
    let outdated: Vec<String> = secrets::outdated(project, &containers).into_iter().map(str::to_owned).collect();
    let mut services = Vec::new();
    for inputs in &inputs {
        let service = inputs.recipe.name.clone();
        services.push(ServiceStatus {
            configured: recall(inputs, store).map(|image| image.manifest.digest),
            built: built.get(&service).copied(),
            composed: composed(&service),
            container: containers.iter().position(|it| it.service == service).map(|it| containers.remove(it)),
            service,
        });
    }
    services.extend(containers.into_iter().map(|container| ServiceStatus {
        service: container.service.clone(),
        configured: None,
        built: None,
        composed: composed(&container.service),
        container: Some(container),
    }));
    let stale = stale(project, &services, stale_file(project, &built, file.as_ref())?, outdated);
    Ok(Status { services, stale })
}

/// The project's images in its layout.
pub(super) fn built(project: &Project, platform: Platform) -> Result<BTreeMap<String, Sha256>, DeployError> {
    let images = match Images::read(&project.layout_dir()) {
        Err(ImagesError::Nothing { .. }) => return Ok(BTreeMap::new()),
        other => other?,
    };
    let known = project.recipes().filter(|recipe| !images.architectures(&recipe.name).is_empty());
    let names: Vec<String> = known.map(|recipe| recipe.name.clone()).collect();
    if names.is_empty() {
        return Ok(BTreeMap::new());
    }
    let chosen = images.choose(&names, None, Some(platform))?;
    Ok(chosen.into_iter().map(|image| (image.name, image.digest)).collect())
}

/// Whether the compose file is not the one of the built images. It can't be told before all are built.
fn stale_file(
    project: &Project,
    built: &BTreeMap<String, Sha256>,
    file: Option<&ComposeFile>,
) -> Result<Option<Stale>, DeployError> {
    let Some(file) = file else { return Ok(Some(Stale::NoComposeFile)) };
    if project.recipes().any(|recipe| !built.contains_key(&recipe.name)) {
        return Ok(None);
    }
    Ok((compose(project, built)? != file.text).then_some(Stale::ComposeFile))
}

fn stale(project: &Project, services: &[ServiceStatus], file: Option<Stale>, outdated: Vec<String>) -> Vec<Stale> {
    let own: BTreeSet<&str> = project.recipes().map(|recipe| recipe.name.as_str()).collect();
    let names = |is_meant: &dyn Fn(&ServiceStatus) -> bool| -> Vec<String> {
        services.iter().filter(|service| is_meant(service)).map(|service| service.service.clone()).collect()
    };
    let images =
        names(&|it| own.contains(it.service.as_str()) && (it.configured.is_none() || it.configured != it.built));
    let different = names(&|it| it.composed.as_ref().is_some_and(|composed| !runs_as(composed, it.container.as_ref())));
    let removed = names(&|it| it.composed.is_none() && it.container.is_some());
    let of = |names: Vec<String>, stale: fn(Vec<String>) -> Stale| (!names.is_empty()).then(|| stale(names));
    [
        of(images, Stale::Images),
        file,
        of(different, Stale::Containers),
        of(removed, Stale::Removed),
        of(outdated, Stale::Secrets),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn runs_as(composed: &Composed, container: Option<&Container>) -> bool {
    container.is_some_and(|container| {
        container.health != Health::Stopped
            && !container.has_moved
            && container.image == composed.image
            && container.labels.get(CONFIGURATION) == composed.configuration.as_ref()
    })
}
