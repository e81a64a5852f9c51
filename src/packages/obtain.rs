use std::collections::HashSet;
use std::fs::File;
use std::io::Read as _;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::arrive::{self, Arrival, Reading};
use super::inspect::Trust;
use super::{ObtainError, Sources};
use crate::apk::Package;
use crate::apk::package::{Control, Listing, Measured, PackageError, PackageFiles};
use crate::digest::Sha256;
use crate::fetch::{Client, FetchError, Progress, Request, Size, Source};
use crate::lock::{Lock, LockedPackage, Member, Place};
use crate::registry::{self, RegistryError, Repository};
use crate::store::Store;

/// Packages that are pulled from a registry at once.
const PULLS: usize = 4;

/// A locked package in the store, checked.
#[derive(Debug, Clone)]
pub struct Obtained<'a> {
    /// What the lock says of it.
    pub package: &'a LockedPackage,
    store: Store,
}

impl Obtained<'_> {
    /// What the package says of itself: what it depends on, what it provides, and more that a lock doesn't hold.
    pub fn metadata(&self) -> Result<Package, ObtainError> {
        Ok(self.control()?.package)
    }

    /// What the tree needs of the package, under the architecture by which the lock lists it. Its data is not read.
    pub fn files(&self) -> Result<PackageFiles, ObtainError> {
        let listing = self.store.recall(&question(self.package)).map_or_else(|| self.list_again(), Ok)?;
        Ok(PackageFiles::new(self.control()?, listing).listed_for(&self.package.arch))
    }

    /// The data member, which [`DataReader`](crate::apk::package::DataReader) reads.
    pub fn data(&self) -> Result<File, ObtainError> {
        Ok(self.store.open_entry(&self.package.data.sha256)?)
    }

    fn control(&self) -> Result<Control, ObtainError> {
        let Member { sha256, size, .. } = self.package.control;
        let unreadable = |source| ObtainError::Stored { package: self.package.file.clone(), source };
        let mut member = Vec::new();
        self.store.open_entry(&sha256)?.take(size).read_to_end(&mut member).map_err(unreadable)?;
        Control::read(&member).map_err(|source| self.refused(source))
    }

    /// Replaces a listing that is gone or damaged.
    fn list_again(&self) -> Result<Listing, ObtainError> {
        list(self.package, &self.store, reading(self.package, None))
    }

    fn refused(&self, source: PackageError) -> ObtainError {
        ObtainError::Package { package: self.package.file.clone(), source }
    }
}

/// Brings all packages of some locks into the store, as far as they are not there, and checks each against what its lock
/// says of it: the file's size, its members, and what they hold. In the order of the locks, and of installation.
///
/// What has been checked once is not read again: neither content in the store nor a lock's text changes under its name.
/// A package of which the store has all members is not fetched, even if nothing else is known of it. One that its
/// repository does not have any more is taken from the registry, where its lock's [`Sources`] name one.
///
/// Of a package that is fetched, two things are not computed: the SHA-256 of the whole file and that of the uncompressed
/// data. They were when the lock was made, those of the members leave them no choice, and they would take four times as
/// long as all other hashing. Where an edited lock says otherwise, that is told for a package that the store has already;
/// and no engine accepts an image of which such a package is a layer.
///
/// Not for use inside of a runtime: it starts one where it has to fetch.
pub fn obtain<'a>(
    locks: &[(&'a Lock, &Sources)],
    client: &Client,
    progress: &dyn Progress,
) -> Result<Vec<Vec<Obtained<'a>>>, ObtainError> {
    let store = client.store();
    let mut seen = HashSet::new();
    let mut missing: Vec<Missing<'_>> = Vec::new();
    for (lock, sources) in locks {
        for package in &lock.packages {
            let question = question(package);
            if !seen.insert(question) {
                if let Some(again) = missing.iter_mut().find(|missing| missing.question == question) {
                    again.registries.extend(sources.registry());
                }
                continue;
            }
            let known = store.remembers(&question);
            let whole = arrive::has_all(store, members(package));
            if !(whole && known) {
                let registries = sources.registry().into_iter().collect();
                missing.push(Missing { package, lock, sources, registries, question, whole });
            }
        }
    }
    bring(missing, client, progress)?;
    let obtained = |package: &'a LockedPackage| Obtained { package, store: store.clone() };
    Ok(locks.iter().map(|(lock, _)| lock.packages.iter().map(obtained).collect()).collect())
}

/// A package that the store doesn't have, or of which nothing is known.
struct Missing<'a> {
    package: &'a LockedPackage,
    lock: &'a Lock,
    sources: &'a Sources,
    /// Those of all locks that have the package.
    registries: Vec<&'a Repository>,
    question: Sha256,
    /// Whether its members are there.
    whole: bool,
}

/// What the store calls the listing of a package that is as this block of a lock says.
fn question(package: &LockedPackage) -> Sha256 {
    let version = Listing::VERSION;
    Sha256::of(format!("which listing has the package that is as this block of a lock says? v{version}\n{package}"))
}

/// Brings in what is missing.
fn bring(missing: Vec<Missing<'_>>, client: &Client, progress: &dyn Progress) -> Result<(), ObtainError> {
    if missing.is_empty() {
        return Ok(());
    }
    let store = client.store();
    let keeper = store.keeper();
    let (whole, mut missing): (Vec<_>, Vec<_>) = missing.into_iter().partition(|missing| missing.whole);
    missing.sort_by_key(|missing| missing.package.size);
    let missing = arrive::from_both_ends(missing);
    let requests = missing.iter().map(Missing::request).collect::<Result<Vec<_>, _>>()?;
    for Missing { package, .. } in &whole {
        // Rare: a lock that was edited, or a store that was cleaned.
        list(package, store, Reading { measures: true, ..reading(package, None) })?;
    }
    let is_there = arrive::each(client, (&requests, &missing), progress, |missing, file| {
        let Missing { package, .. } = missing;
        let file = match file {
            Err(FetchError::NotFound { .. }) if !(missing.registries.is_empty() || client.is_offline()) => {
                return Ok::<_, ObtainError>(false);
            }
            file => file.map_err(|error| missing.explain(error))?,
        };
        let arrival = arrive::read_fetched(file, package, reading(package, Some(store)))?;
        check(package, &arrival)?;
        remember(package, &arrival.keep(&keeper)?, store)?;
        Ok(true)
    })?;
    let gone = missing.iter().zip(requests).zip(is_there).filter(|(_, is_there)| !is_there);
    let gone: Vec<_> = gone.map(|(gone, _)| gone).collect();
    pull(&gone, client, progress)?;
    for (Missing { package, .. }, _) in &gone {
        list(package, store, reading(package, None))?;
    }
    Ok(keeper.finish()?)
}

/// Brings the members of packages that no repository has any more into the store, from the registry to which images made of
/// them were pushed.
fn pull(gone: &[(&Missing<'_>, Request)], client: &Client, progress: &dyn Progress) -> Result<(), ObtainError> {
    if gone.is_empty() {
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|source| FetchError::Runtime { source })?;
    let registry = registry::Client::new(client.new_http()?);
    let pulls = stream::iter(gone).map(|(missing, request)| missing.pull(request, &registry, client.store(), progress));
    runtime.block_on(pulls.buffer_unordered(PULLS).try_collect())
}

fn reading<'a>(package: &'a LockedPackage, store: Option<&'a Store>) -> Reading<'a> {
    Reading { name: &package.file, trust: Trust::Locked, measures: false, store }
}

fn members(package: &LockedPackage) -> impl Iterator<Item = &Member> {
    arrive::members(&package.signatures, &package.control, &package.data)
}

/// Lists a package of which the store has all members.
fn list(package: &LockedPackage, store: &Store, reading: Reading<'_>) -> Result<Listing, ObtainError> {
    let arrival = arrive::read(arrive::join(store, members(package))?, reading)?;
    check(package, &arrival)?;
    let listing = arrival.into_listing();
    remember(package, &listing, store)?;
    Ok(listing)
}

/// Refuses a package that is not as the lock says.
fn check(package: &LockedPackage, arrival: &Arrival) -> Result<(), ObtainError> {
    let LockedPackage { file, repository, arch, .. } = package;
    let Measured { sha256, diff_id, .. } = arrival.inspected.measured;
    let digests = (sha256.unwrap_or(package.sha256), diff_id.unwrap_or(package.diff_id));
    let found = arrival.inspected.locked(file, repository, arch, digests);
    if let Some((expected, found)) = first_difference(&package.to_string(), &found.to_string()) {
        return Err(ObtainError::NotAsLocked { package: file.clone(), expected, found });
    }
    Ok(())
}

/// Remembers that a package is as the lock says, and its listing.
pub(crate) fn remember(package: &LockedPackage, listing: &Listing, store: &Store) -> Result<(), ObtainError> {
    Ok(store.remember(&question(package), listing)?)
}

impl Missing<'_> {
    fn request(&self) -> Result<Request, ObtainError> {
        let Self { package, lock, sources, .. } = self;
        Ok(Request {
            name: package.file.clone(),
            location: sources.get(&package.repository)?.file(&lock.arch, &package.file),
            size: Size::Exactly(package.size),
            digest: Some(package.sha256),
        })
    }

    /// Takes the package's members from the first registry that has them.
    async fn pull(
        &self,
        request: &Request,
        client: &registry::Client,
        store: &Store,
        progress: &dyn Progress,
    ) -> Result<(), ObtainError> {
        let Self { package, registries, .. } = self;
        let (name, location) = (package.file.clone(), Box::new(request.location.clone()));
        let mut nowhere = None;
        for registry in registries {
            match pull_members(package, registry, client, store).await {
                Ok(()) => {
                    progress.elsewhere(request, &registry.to_string());
                    return Ok(());
                }
                Err(source) => {
                    let missing = matches!(source, RegistryError::Missing { .. });
                    nowhere = Some((registry, Box::new(source)));
                    if !missing {
                        break;
                    }
                }
            }
        }
        let not_there = self.explain(FetchError::NotFound { location: location.clone(), status: None });
        Err(match (not_there, nowhere) {
            (ObtainError::Fetch(_), Some((registry, source))) if matches!(*source, RegistryError::Missing { .. }) => {
                ObtainError::Gone { package: name, location, registry: registry.to_string(), source }
            }
            (ObtainError::Fetch(_), Some((registry, source))) => {
                ObtainError::Registry { package: name, location, registry: registry.to_string(), source }
            }
            (other, _) => other,
        })
    }

    /// A package that is missing because its whole repository has yet to be made is told as that.
    fn explain(&self, error: FetchError) -> ObtainError {
        let place = self.lock.repositories.iter().find(|repository| repository.name == self.package.repository);
        let imported = place.is_some_and(|repository| matches!(repository.place, Place::Imported(_)));
        match (self.sources.get(&self.package.repository), &error) {
            (Ok(Source::Directory(directory)), FetchError::NotFound { .. }) if imported && !directory.is_dir() => {
                ObtainError::NotImported { directory: directory.clone() }
            }
            _ => error.into(),
        }
    }
}

async fn pull_members(
    package: &LockedPackage,
    registry: &Repository,
    client: &registry::Client,
    store: &Store,
) -> Result<(), RegistryError> {
    for Member { sha256, size, .. } in members(package) {
        if store.find_sized(sha256, *size).is_none() {
            client.pull_blob(registry, *sha256, *size, store).await?;
        }
    }
    Ok(())
}

/// The first line in which two blocks differ.
fn first_difference(expected: &str, found: &str) -> Option<(String, String)> {
    let (mut expected, mut found) = (expected.lines(), found.lines());
    loop {
        match (expected.next(), found.next()) {
            (None, None) => return None,
            (one, other) if one == other => {}
            (one, other) => {
                let line = |line: Option<&str>| line.unwrap_or_default().trim().to_owned();
                return Some((line(one), line(other)));
            }
        }
    }
}
