use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};

use super::wait::{start, wait};
use super::{DeployError, secrets};
use crate::build::Selection;
use crate::compose::compose;
use crate::config::Project;
use crate::engine::{Container, Engine, Health, Stack};
use crate::mail::secrets as files;
use crate::oci::{Image, Images};
use crate::packages::{Fetching, Surroundings};
use crate::store::write_atomic;

/// What to bring up, with what.
#[derive(Clone, Copy)]
pub struct Order<'a> {
    /// All images of the project.
    pub selection: &'a Selection,
    pub surroundings: Surroundings<'a>,
    pub fetching: Fetching<'a>,
    /// The command-line program of the engine, if a certain one.
    pub engine: Option<&'a str>,
    /// How long to wait for services to become healthy.
    pub time: Duration,
}

/// A site that has been brought up, and what that changed.
#[derive(Debug)]
pub struct Up {
    /// Secrets that were missing, by their paths.
    pub secrets: Vec<Utf8PathBuf>,
    /// The images, and whether each is new in the layout.
    pub images: Vec<(Image, bool)>,
    /// Whether the compose file was written.
    pub is_composed: bool,
    /// The services whose containers are not the ones of before, by name.
    pub changes: Vec<(String, Change)>,
    /// The containers as they are now.
    pub containers: Vec<Container>,
    /// Where they run.
    pub stack: Stack,
}

/// Something that has been done, in the order in which it is.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// A secret was missing.
    SecretCreated(&'a Utf8Path),
    /// An image is new in the layout.
    Built(&'a Image),
    ComposeFileWritten,
    /// The container of a service is not the one of before.
    Changed(&'a str, Change),
}

/// What happened to the container of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Created,
    Recreated,
    Started,
    Removed,
}

impl Change {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Recreated => "recreated",
            Self::Started => "restarted",
            Self::Removed => "removed",
        }
    }
}

impl Up {
    /// The containers that are not healthy.
    pub fn unhealthy(&self) -> impl Iterator<Item = &Container> {
        self.containers.iter().filter(|container| container.health != Health::Healthy)
    }

    /// Whether containers run, and all are healthy.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        !self.containers.is_empty() && self.unhealthy().next().is_none()
    }

    /// Whether everything was as it should be before.
    #[must_use]
    pub fn is_unchanged(&self) -> bool {
        let is_new = self.images.iter().any(|(_, is_new)| *is_new);
        self.secrets.is_empty() && !is_new && !self.is_composed && self.changes.is_empty()
    }
}

/// Builds, loads, composes and starts whatever is not as configured, and waits until it is healthy. Tells what it has done
/// at once, because waiting may take long.
pub fn up(order: Order<'_>, tell: &mut dyn FnMut(Event<'_>)) -> Result<Up, DeployError> {
    let project = order.selection.project();
    // Nothing is built for a machine that can't run it.
    let engine = Engine::find(order.engine)?;
    let made = files::init(project)?.into_iter().filter(|secret| secret.made);
    let secrets: Vec<_> = made.map(|secret| project.secrets_dir().join(secret.path)).collect();
    for path in &secrets {
        tell(Event::SecretCreated(path));
    }
    let images = build(order)?;
    for (image, _) in images.iter().filter(|(_, is_new)| *is_new) {
        tell(Event::Built(image));
    }
    if project.site().registry.is_none() {
        for (image, _) in &images {
            engine.load(&project.layout_dir(), image.clone(), order.fetching.progress)?;
        }
    }
    let is_composed = write_compose_file(project, &images)?;
    if is_composed {
        tell(Event::ComposeFileWritten);
    }
    let stack = Stack::on(engine, project.root())?;
    let (containers, changes) = run(&stack, order, tell)?;
    Ok(Up { secrets, images, is_composed, changes, containers, stack })
}

type Changes = Vec<(String, Change)>;

/// Starts the containers, waits for them, and returns how they are then.
fn run(
    stack: &Stack,
    order: Order<'_>,
    tell: &mut dyn FnMut(Event<'_>),
) -> Result<(Vec<Container>, Changes), DeployError> {
    let (until, progress) = (Instant::now() + order.time, order.fetching.progress);
    let before = stack.containers()?;
    let all_started = start(stack, &before, progress)?;
    let mut containers = stack.containers()?;
    let told = changes(&before, &containers);
    for (service, change) in &told {
        tell(Event::Changed(service, *change));
    }
    if all_started {
        containers = wait(stack, until, progress)?;
    }
    let outdated = secrets::outdated(order.selection.project(), &containers);
    if !outdated.is_empty() {
        stack.restart(&outdated)?;
        containers = wait(stack, Instant::now() + order.time, progress)?;
    }
    let changes = changes(&before, &containers);
    for (service, change) in changes.iter().filter(|change| !told.contains(change)) {
        tell(Event::Changed(service, *change));
    }
    for container in containers.iter_mut().filter(|container| container.health == Health::Stopped) {
        let said = stack.last_line(container);
        container.reason = said.or_else(|| container.reason.take());
    }
    Ok((containers, changes))
}

/// The images, in the project's layout, and whether each is new there.
fn build(order: Order<'_>) -> Result<Vec<(Image, bool)>, DeployError> {
    let images = order.selection.build(order.surroundings, order.fetching)?;
    let path = order.selection.project().layout_dir();
    let before = Images::read(&path).ok();
    let is_new = |image: &Image| before.as_ref().is_none_or(|before| !before.has(&image.name, image.manifest.digest));
    let is_new: Vec<bool> = images.iter().map(is_new).collect();
    order.selection.write(&images, &path, order.fetching.client.store())?;
    Ok(images.into_iter().zip(is_new).collect())
}

/// Whether the file was not as it is now.
fn write_compose_file(project: &Project, images: &[(Image, bool)]) -> Result<bool, DeployError> {
    let digests = images.iter().map(|(image, _)| (image.name.clone(), image.manifest.digest)).collect();
    let (file, path) = (compose(project, &digests)?, project.compose_file());
    if std::fs::read(&path).is_ok_and(|current| current == file.as_bytes()) {
        return Ok(false);
    }
    write_atomic(&path, file, 0o644)?;
    Ok(true)
}

fn changes(before: &[Container], after: &[Container]) -> Changes {
    let find = |containers: &[Container], service: &str| {
        containers.iter().find(|container| container.service == service).map(|it| (it.id.clone(), it.started))
    };
    let changed = |container: &Container| {
        let change = match find(before, &container.service) {
            None => Change::Created,
            Some((id, _)) if id != container.id => Change::Recreated,
            Some((_, started)) if started != container.started => Change::Started,
            Some(_) => return None,
        };
        Some((container.service.clone(), change))
    };
    let removed = before.iter().filter(|container| find(after, &container.service).is_none());
    let removed = removed.map(|container| (container.service.clone(), Change::Removed));
    after.iter().filter_map(changed).chain(removed).collect()
}
