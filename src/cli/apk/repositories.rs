//! Repositories given on the command line.

use camino::Utf8PathBuf;

use crate::apk::Dependency;
use crate::apk::package::{PackageError, PackageFiles};
use crate::cli::{Context, Failure};
use crate::fetch::{Client, Fetched, Settings};
use crate::resolve::Repositories;
use crate::solve::{Plan, solve};
use crate::store::Store;

/// The repositories and keys to use.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct RepositoryArgs {
    /// A repository: the URL or directory that contains ARCH/APKINDEX.tar.gz, or "@TAG URL" for a tagged one. Give the
    /// preferred one first
    #[arg(long = "repository", value_name = "URL_OR_DIR", required = true)]
    repositories: Vec<String>,
    /// A directory with the public keys to trust, NAME.rsa.pub
    #[arg(long, value_name = "DIR")]
    keys_dir: Utf8PathBuf,
    /// The architecture, as apk names it
    #[arg(long, default_value = "x86_64")]
    arch: String,
    /// The packages to install, in apk's notation: NAME, NAME>=VERSION, NAME@TAG, !NAME
    #[arg(value_name = "PKG", required = true)]
    world: Vec<String>,
}

/// The repositories, with the world to install from them.
pub(super) struct Offer {
    pub(super) repositories: Repositories,
    pub(super) world: Vec<Dependency>,
    pub(super) arch: String,
    client: Client,
}

impl RepositoryArgs {
    /// Reads and verifies the indexes.
    pub(super) fn read(&self, context: &Context) -> Result<Offer, Failure> {
        let world = Dependency::parse_list(&self.world.join(" "))?;
        let client = Client::new(Store::open(&context.cache_dir_or_temporary()?)?, Settings::default());
        let fetching = context.fetching(&client)?;
        let repositories = Repositories::open(&self.repositories, &self.arch, &self.keys_dir, fetching)?;
        Ok(Offer { repositories, world, arch: self.arch.clone(), client })
    }

    /// Their lines in `etc/apk/repositories`.
    pub(super) fn lines(&self) -> Vec<String> {
        self.repositories.clone()
    }
}

impl Offer {
    /// What apk would install.
    pub(super) fn solve(&self) -> Result<Plan<'_>, Failure> {
        Ok(solve(&self.repositories.universe, &self.world, &self.arch)?)
    }

    /// The packages to install, each with what `read` finds in its file.
    pub(super) fn read<T: Send>(
        &self,
        plan: &Plan<'_>,
        read: impl Fn(&mut Fetched) -> Result<T, PackageError> + Sync,
        context: &Context,
    ) -> Result<Vec<(PackageFiles, T)>, Failure> {
        Ok(self.repositories.read(plan, context.fetching(&self.client)?, read)?)
    }
}
