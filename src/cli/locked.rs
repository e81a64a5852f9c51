//! Locks and their packages, on this machine.

use camino::Utf8PathBuf;

use super::channel::{ChannelArgs, Supply};
use super::{Context, Failure, complete};
use crate::config::Project;
use crate::fetch::Settings;
use crate::lock::{Lock, path};
use crate::packages::obtain_for;
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

impl LockedArgs {
    /// The project with the channel, and the architecture.
    pub(super) fn open(&self, context: &Context) -> Result<(Project, String), Failure> {
        self.channel.open(context)
    }

    pub(super) fn supply(&self, cache: Utf8PathBuf) -> Result<Supply, Failure> {
        self.channel.supply(Settings { offline: self.offline, ..Settings::default() }, cache)
    }
}

/// A locked image, for commands about its packages.
#[derive(Debug, clap::Args)]
pub(super) struct LockedImage {
    /// The image
    #[arg(add = complete::images())]
    image: String,
    #[command(flatten)]
    locked: LockedArgs,
}

impl LockedImage {
    /// The graph of the image's locked packages.
    pub(super) fn graph(&self, context: &Context) -> Result<Graph, Failure> {
        let (project, arch) = self.locked.open(context)?;
        let recipe = project.recipe(&self.image)?;
        let lock = Lock::read(project.files(), &path(&project.channel_dir(), &recipe.name, &arch))?;
        let supply = self.locked.supply(context.cache_dir_or_temporary()?)?;
        let (surroundings, fetching) = (supply.surroundings(&project), supply.fetching(context)?);
        let obtained = obtain_for(&project, &[(recipe, &lock)], surroundings, fetching)?;
        Ok(Graph::of(&recipe.name, &lock.world, &obtained.concat())?)
    }
}
