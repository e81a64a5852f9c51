use std::collections::BTreeSet;
use std::sync::OnceLock;

use camino::{Utf8Path, Utf8PathBuf};

use super::hold::Held;
use super::index::fetch_index;
use super::keys::{self, Trusted};
use super::{ResolveError, Wanted};
use crate::apk::Package;
use crate::apk::index::Index;
use crate::config::{self, Channel, Import};
use crate::digest::Sha256;
use crate::fetch::Source;
use crate::lock::{LockedRepository, Place};
use crate::packages::{Fetching, ObtainError, Sources};
use crate::solve::{Repository, Step, Universe, solve};
use crate::timestamp::Timestamp;

/// The verified indexes of a channel.
pub(super) struct Offer {
    pub(super) channel: Channel,
    pub(super) arch: String,
    pub(super) repositories: Vec<Opened>,
    pub(super) trusted: Trusted,
    /// All packages, for solving: built once for all images.
    universe: OnceLock<Universe>,
}

/// A repository with its index.
pub(super) struct Opened {
    pub(super) locked: LockedRepository,
    pub(super) source: Source,
    tag: Option<String>,
    index: Index,
    /// Names of the keys that signed the index.
    pub(super) signers: Vec<String>,
}

/// A package to lock, and the position of its repository in the offer.
pub(super) struct Chosen {
    pub(super) repository: usize,
    pub(super) package: Package,
}

impl Offer {
    /// Fetches and verifies the indexes of all repositories. Not for use inside the runtime.
    ///
    /// Key files come from `keys` if it is given. Otherwise an imported channel has them next to its packages, and
    /// another one says where they are.
    pub(super) fn open(
        channel: &Channel,
        arch: &str,
        sources: &Sources,
        keys: Option<&Utf8Path>,
        fetching: Fetching<'_>,
    ) -> Result<Self, ResolveError> {
        let beside = keys_beside_packages(channel, sources)?;
        let keys = keys.or(beside.as_deref());
        let trusted = fetching.runtime.block_on(keys::trusted(channel, keys, fetching))?;
        let imported = channel.import.into_iter().map(Declared::Imported);
        let listed = channel.repositories.iter().map(Declared::Listed);
        let open = |declared: Declared<'_>| declared.open(sources.get(declared.name())?, arch, &trusted, fetching);
        let repositories = imported.chain(listed).map(open).collect::<Result<_, _>>()?;
        let (channel, arch, universe) = (channel.clone(), arch.to_owned(), OnceLock::new());
        Ok(Self { channel, arch, repositories, trusted, universe })
    }

    /// Solves, keeping packages in `held` at their version as long as a repository has it.
    pub(super) fn plan(&self, wanted: &Wanted, held: &Held<'_>) -> Result<Vec<Chosen>, ResolveError> {
        let holding;
        let universe = if held.is_empty() {
            self.universe.get_or_init(|| self.universe(held))
        } else {
            holding = self.universe(held);
            &holding
        };
        let plan = solve(universe, &wanted.world, &self.arch)
            .map_err(|source| ResolveError::Unsolvable { image: wanted.image.clone(), source })?;
        let chosen = |step: &Step<'_>| Chosen { repository: step.repository, package: step.package.clone() };
        Ok(plan.steps.iter().map(chosen).collect())
    }

    /// All packages of all repositories.
    pub(super) fn packages(&self) -> impl Iterator<Item = &Package> {
        self.repositories.iter().flat_map(|repository| &repository.index.packages)
    }

    fn universe(&self, held: &Held<'_>) -> Universe {
        let is_held = |package: &Package| held.get(package.name.as_str()).is_some_and(|held| **held == package.version);
        let available: BTreeSet<&str> =
            self.packages().filter(|package| is_held(package)).map(|package| package.name.as_str()).collect();
        let repositories = self.repositories.iter().map(|repository| Repository {
            tag: repository.tag.clone(),
            left_out: repository.index.left_out.clone(),
            packages: repository
                .index
                .packages
                .iter()
                .filter(|package| !available.contains(package.name.as_str()) || is_held(package))
                .cloned()
                .collect(),
        });
        Universe::new(repositories.collect())
    }
}

/// Where an imported channel's keys are.
fn keys_beside_packages(channel: &Channel, sources: &Sources) -> Result<Option<Utf8PathBuf>, ResolveError> {
    let Some(import) = channel.import else { return Ok(None) };
    match sources.get(import.repository())? {
        Source::Directory(directory) if directory.is_dir() => Ok(Some(directory.join("keys"))),
        Source::Directory(directory) => Err(ObtainError::NotImported { directory: directory.clone() }.into()),
        Source::Http(_) => Ok(None),
    }
}

/// A repository as its channel declares it.
#[derive(Clone, Copy)]
enum Declared<'a> {
    Listed(&'a config::Repository),
    Imported(Import),
}

impl Declared<'_> {
    fn name(&self) -> &str {
        match self {
            Self::Listed(repository) => &repository.name,
            Self::Imported(import) => import.repository(),
        }
    }

    fn open(
        self,
        source: &Source,
        arch: &str,
        trusted: &Trusted,
        fetching: Fetching<'_>,
    ) -> Result<Opened, ResolveError> {
        let (location, bytes) = fetch_index(source, arch, fetching)?;
        let signed = Index::read(&bytes, &trusted.keyring)
            .map_err(|source| ResolveError::Index { location: location.clone(), source: Box::new(source) })?;
        signed.index.log_left_out(&location);
        let (place, tag) = match self {
            Self::Imported(import) => (Place::Imported(import), None),
            Self::Listed(config::Repository { url, tag, .. }) => {
                let (index, date) = (Sha256::of(&bytes), newest(&signed.index.packages));
                (Place::Shared { url: url.clone(), tag: tag.clone(), index, date }, tag.clone())
            }
        };
        let locked = LockedRepository { name: self.name().to_owned(), place };
        Ok(Opened { locked, source: source.clone(), tag, index: signed.index, signers: signed.keys })
    }
}

/// The build time of the newest package. The index file's own time is useless: in reproducible indexes it is zero.
fn newest(packages: &[Package]) -> Timestamp {
    Timestamp::from_unix(packages.iter().filter_map(|package| package.build_time).max().unwrap_or_default())
}
