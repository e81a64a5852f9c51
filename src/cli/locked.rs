//! Locks and their packages, on this machine.

use camino::Utf8PathBuf;
use rayon::prelude::*;

use super::channel::ChannelArgs;
use super::{Context, Failure};
use crate::config::{Project, Recipe};
use crate::fetch::{Client, Settings};
use crate::lock::{Lock, LockError, path};
use crate::packages::{Fetching, Obtained, Sources, Surroundings, obtain};
use crate::registry::{Prefix, Repository};
use crate::report::Graph;

/// The locks that a command reads, and the sources of missing packages.
#[derive(Debug, clap::Args)]
pub(super) struct LockedArgs {
    /// Don't use the network: every package must be in the store or in a local directory
    #[arg(long)]
    offline: bool,
    #[command(flatten)]
    channel: ChannelArgs,
}

/// A project with the channel and architecture of its locks.
#[derive(Debug)]
pub(super) struct Locked {
    pub(super) project: Project,
    arch: String,
}

impl Locked {
    /// The lock of an image.
    pub(super) fn lock(&self, recipe: &Recipe) -> Result<Lock, LockError> {
        Lock::read(&self.path(recipe))
    }

    /// Where that is.
    pub(super) fn path(&self, recipe: &Recipe) -> Utf8PathBuf {
        path(&self.project.channel_dir(), &recipe.name, &self.arch)
    }
}

impl LockedArgs {
    pub(super) fn open(&self, context: &Context) -> Result<Locked, Failure> {
        let (project, arch) = self.channel.open(context)?;
        Ok(Locked { project, arch })
    }

    /// The packages of some locks, verified in the store.
    pub(super) fn obtain<'l>(
        &self,
        locks: &[(&Recipe, &'l Lock)],
        project: &Project,
        context: &Context,
    ) -> Result<Vec<Vec<Obtained<'l>>>, Failure> {
        let (overrides, cache) = (self.channel.overrides(), context.cache_dir()?);
        let surroundings = Surroundings { base: project.root(), cache: &cache, overrides: &overrides };
        let sources = locks.iter().map(|(recipe, lock)| {
            let registry = registry_of(project, recipe)?;
            Ok(Sources::of_lock(lock, surroundings)?.or_from(registry))
        });
        let sources = sources.collect::<Result<Vec<_>, Failure>>()?;
        let client = Client::new(context.store()?, Settings { offline: self.offline, ..Settings::default() });
        let fetching = Fetching { client: &client, runtime: context.runtime()?, progress: context.ui() };
        Ok(obtain(&locks.iter().map(|(_, lock)| *lock).zip(&sources).collect::<Vec<_>>(), fetching)?)
    }
}

/// Where the image is pushed.
fn registry_of(project: &Project, recipe: &Recipe) -> Result<Option<Repository>, Failure> {
    let Some(registry) = &project.site().registry else { return Ok(None) };
    let prefix = Prefix::new(registry.prefix.as_str(), registry.plain_http)?;
    Ok(Some(prefix.repository(&recipe.name)?))
}

/// A locked image, for commands about its packages.
#[derive(Debug, clap::Args)]
pub(super) struct LockedImage {
    /// The image
    image: String,
    #[command(flatten)]
    locked: LockedArgs,
}

impl LockedImage {
    /// The graph of the image's locked packages.
    pub(super) fn graph(&self, context: &Context) -> Result<Graph, Failure> {
        let locked = self.locked.open(context)?;
        let recipe = locked.project.recipe(&self.image)?;
        let lock = locked.lock(recipe)?;
        let obtained = self.locked.obtain(&[(recipe, &lock)], &locked.project, context)?;
        let packages = obtained.par_iter().flatten().map(Obtained::metadata).collect::<Result<Vec<_>, _>>()?;
        Ok(Graph::new(&recipe.name, &lock.world, packages))
    }
}
