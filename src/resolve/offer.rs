use std::collections::BTreeSet;
use std::sync::OnceLock;

use camino::Utf8Path;

use super::ResolveError;
use super::hold::Held;
use super::keys::{self, Trusted};
use crate::apk::index::Index;
use crate::apk::{Dependency, Package};
use crate::config::{Channel, Group, Project, Recipe, User};
use crate::fetch::{Client, Progress, Request, Size, Source};
use crate::lock::{LockedRepository, Place};
use crate::packages::{ObtainError, Sources};
use crate::solve::{Repository, Step, Universe, solve};
use crate::timestamp::Timestamp;

/// Longest `APKINDEX.tar.gz`. Alpine's largest has 2.5 MB.
const INDEX_LIMIT: u64 = 256 * 1024 * 1024;

/// What a channel offers now: its indexes, verified.
pub struct Offer {
    pub(super) channel: Channel,
    pub(super) arch: String,
    pub(super) repositories: Vec<Opened>,
    pub(super) trusted: Trusted,
    /// All of it, for solving: made once for all images.
    universe: OnceLock<Universe>,
}

/// A repository whose index has been read.
pub(super) struct Opened {
    pub(super) locked: LockedRepository,
    pub(super) source: Source,
    tag: Option<String>,
    packages: Vec<Package>,
    /// Names of the keys that signed the index.
    pub(super) signers: Vec<String>,
}

/// What an image asks of a channel.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The image's name.
    pub image: String,
    /// Requested dependencies, sorted.
    pub world: Vec<Dependency>,
    /// The recipe's groups.
    pub groups: Vec<Group>,
    /// The recipe's accounts.
    pub users: Vec<User>,
}

/// A package that will be locked, and the repository that has it, by its position in the offer.
pub(super) struct Chosen {
    pub(super) repository: usize,
    pub(super) package: Package,
}

impl Wanted {
    /// What `recipe` asks of the project's channel.
    pub fn of(project: &Project, recipe: &Recipe) -> Result<Self, ResolveError> {
        let share = project.channel_of(recipe)?;
        let texts = recipe.world.iter().chain(share.iter().flat_map(|share| &share.world));
        let parse = |text: &String| {
            let error = |source| ResolveError::World { image: recipe.name.clone(), text: text.clone(), source };
            text.parse::<Dependency>().map_err(error)
        };
        let mut world = texts.map(parse).collect::<Result<Vec<_>, _>>()?;
        world.sort_by_cached_key(|dependency| (dependency.name.clone(), dependency.to_string()));
        world.dedup();
        let (groups, users) = (recipe.groups.clone(), recipe.users.clone());
        Ok(Self { image: recipe.name.clone(), world, groups, users })
    }
}

impl Offer {
    /// Fetches and verifies the indexes of all repositories.
    ///
    /// Key files come from `keys` if it is given. Otherwise an imported channel has them beside its packages, and another
    /// one says where they are.
    pub async fn open(
        channel: &Channel,
        arch: &str,
        sources: &Sources,
        keys: Option<&Utf8Path>,
        client: &Client,
        progress: &dyn Progress,
    ) -> Result<Self, ResolveError> {
        let beside = match (channel.import, sources.iter().next()) {
            (Some(_), Some((_, Source::Directory(directory)))) if !directory.is_dir() => {
                return Err(ObtainError::NotImported { directory: directory.clone() }.into());
            }
            (Some(_), Some((_, Source::Directory(directory)))) => Some(directory.join("keys")),
            _ => None,
        };
        let trusted = keys::trusted(channel, keys.or(beside.as_deref()), client, progress).await?;
        let mut repositories = Vec::new();
        for (name, source) in sources.iter() {
            repositories.push(open_repository(channel, arch, name, source, &trusted, client, progress).await?);
        }
        let (channel, arch, universe) = (channel.clone(), arch.to_owned(), OnceLock::new());
        Ok(Self { channel, arch, repositories, trusted, universe })
    }

    /// Solves. Packages in `held` keep their version as long as a repository has it.
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
        self.repositories.iter().flat_map(|repository| &repository.packages)
    }

    fn universe(&self, held: &Held<'_>) -> Universe {
        let is_held = |package: &Package| held.get(package.name.as_str()).is_some_and(|held| **held == package.version);
        let available: BTreeSet<&str> =
            self.packages().filter(|package| is_held(package)).map(|package| package.name.as_str()).collect();
        let repositories = self.repositories.iter().map(|repository| Repository {
            tag: repository.tag.clone(),
            packages: repository
                .packages
                .iter()
                .filter(|package| !available.contains(package.name.as_str()) || is_held(package))
                .cloned()
                .collect(),
        });
        Universe::new(repositories.collect())
    }
}

async fn open_repository(
    channel: &Channel,
    arch: &str,
    name: &str,
    source: &Source,
    trusted: &Trusted,
    client: &Client,
    progress: &dyn Progress,
) -> Result<Opened, ResolveError> {
    let location = source.file(arch, "APKINDEX.tar.gz");
    let request = Request { name: format!("index of {name}"), location, size: Size::AtMost(INDEX_LIMIT), digest: None };
    let entry = client.fetch(&request, progress).await?;
    let bytes = std::fs::read(&entry.path).map_err(|source| ResolveError::Read { path: entry.path.clone(), source })?;
    let signed = Index::read(&bytes, &trusted.keyring)
        .map_err(|source| ResolveError::Index { location: Box::new(request.location), source: Box::new(source) })?;
    let listed = channel.repositories.iter().find(|repository| repository.name == name);
    let tag = listed.and_then(|repository| repository.tag.clone());
    let place = match (listed, channel.import) {
        (Some(repository), _) => Place::Shared {
            url: repository.url.clone(),
            tag: tag.clone(),
            index: entry.digest,
            date: newest(&signed.index.packages),
        },
        (None, Some(import)) => Place::Imported(import),
        (None, None) => return Err(ObtainError::UnknownRepository { name: name.to_owned(), known: Vec::new() }.into()),
    };
    let locked = LockedRepository { name: name.to_owned(), place };
    Ok(Opened { locked, source: source.clone(), tag, packages: signed.index.packages, signers: signed.keys })
}

/// When the newest of the packages was built. The index file's own time says nothing: who makes reproducible indexes
/// sets it to zero.
fn newest(packages: &[Package]) -> Timestamp {
    Timestamp::from_unix(packages.iter().filter_map(|package| package.build_time).max().unwrap_or_default())
}
