//! The packages that a lock names, on this machine.

use rayon::prelude::*;

use super::progress::Downloads;
use super::repositories::RepositoryArgs;
use super::{Context, Failure};
use crate::config::{Project, Recipe};
use crate::fetch::{Client, Settings};
use crate::lock::{Lock, Obtained, Sources, Surroundings, architecture, obtain, path};
use crate::registry::Repository;
use crate::report::Graph;

/// Where packages that the store doesn't have are taken from.
#[derive(Debug, Clone, Copy)]
pub(super) struct PackageSource<'a> {
    pub(super) offline: bool,
    pub(super) repositories: &'a RepositoryArgs,
}

impl PackageSource<'_> {
    /// The packages of some locks in the store, checked.
    pub(super) fn obtain<'l>(
        self,
        locks: &[(&Recipe, &'l Lock)],
        project: &Project,
        context: &Context,
    ) -> Result<Vec<Vec<Obtained<'l>>>, Failure> {
        let (overrides, cache) = (self.repositories.overrides(), context.cache_dir()?);
        let surroundings = Surroundings { base: project.root(), cache: &cache, overrides: &overrides };
        let sources = locks.iter().map(|(recipe, lock)| {
            let registry = registry_of(project, recipe)?;
            Ok(Sources::of_lock(lock, surroundings)?.or_from(registry))
        });
        let sources = sources.collect::<Result<Vec<_>, Failure>>()?;
        let client = Client::new(context.store()?, Settings { offline: self.offline, ..Settings::default() });
        let downloads = Downloads::new(context.ui());
        Ok(obtain(&locks.iter().map(|(_, lock)| *lock).zip(&sources).collect::<Vec<_>>(), &client, &downloads)?)
    }
}

/// Where the image is pushed.
fn registry_of(project: &Project, recipe: &Recipe) -> Result<Option<Repository>, Failure> {
    let Some(registry) = &project.site().registry else { return Ok(None) };
    Ok(Some(Repository::of_image(registry.prefix.as_str(), &recipe.name)?))
}

/// A locked image, for commands that look at its packages.
#[derive(Debug, clap::Args)]
pub(super) struct LockedImage {
    /// The image
    image: String,
    /// Use no network: every package has to be in the store or in a directory
    #[arg(long)]
    offline: bool,
    /// Architecture in apk's words, x86_64 or aarch64 [default: the channel's first]
    #[arg(long)]
    arch: Option<String>,
    /// Look at another channel's lock than mailimg.toml names
    #[arg(long)]
    channel: Option<String>,
    #[command(flatten)]
    repositories: RepositoryArgs,
}

impl LockedImage {
    /// What is in the image by its lock, and what its packages say of each other.
    pub(super) fn graph(&self, context: &Context) -> Result<Graph, Failure> {
        let project = Project::open_with(context.project(), self.channel.as_deref())?;
        let arch = architecture(project.channel(), self.arch.as_deref())?;
        let recipe = project.recipe(&self.image)?;
        let lock = Lock::read(&path(&project.channel_dir(), &recipe.name, &arch))?;
        let from = PackageSource { offline: self.offline, repositories: &self.repositories };
        let obtained = from.obtain(&[(recipe, &lock)], &project, context)?;
        let packages = obtained.par_iter().flatten().map(Obtained::metadata).collect::<Result<Vec<_>, _>>()?;
        Ok(Graph::new(&recipe.name, &lock.world, packages))
    }
}
