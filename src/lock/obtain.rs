use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::arrive::{self, Arrival, Reading};
use super::inspect::Trust;
use super::{Lock, LockError, LockedPackage, Member, Place, Sources};
use crate::apk::Package;
use crate::apk::package::{Control, Listing, PackageError, PackageFiles};
use crate::digest::Sha256;
use crate::fetch::{Client, FetchError, Progress, Request, Size, Source};
use crate::registry::{self, RegistryError, Repository};
use crate::store::{Keeper, Store};

/// Packages that are pulled from a registry at once.
const PULLS: usize = 4;

/// A locked package in the store, checked.
#[derive(Debug, Clone)]
pub struct Obtained<'a> {
    /// What the lock says of it.
    pub package: &'a LockedPackage,
    store: Store,
    /// What its listing is called in the store.
    listing: Option<Sha256>,
}

impl Obtained<'_> {
    /// What the package says of itself: what it depends on, what it provides, and more that a lock doesn't hold.
    pub fn metadata(&self) -> Result<Package, LockError> {
        Ok(self.control()?.package)
    }

    /// What the tree needs of the package, under the architecture by which the lock lists it. Its data is not read.
    pub fn files(&self) -> Result<PackageFiles, LockError> {
        let listing = match self.listing.and_then(|listing| arrive::recall(&self.store, &listing)) {
            Some(listing) => listing,
            None => self.list_again()?,
        };
        Ok(PackageFiles::new(self.control()?, listing).listed_for(&self.package.arch))
    }

    /// The data member, which [`DataReader`](crate::apk::package::DataReader) reads.
    pub fn data(&self) -> Result<File, LockError> {
        Ok(self.store.open_entry(&self.package.data.sha256)?)
    }

    fn control(&self) -> Result<Control, LockError> {
        let Member { sha256, size, .. } = self.package.control;
        let unreadable = |source| LockError::Stored { package: self.package.file.clone(), source };
        let mut member = Vec::new();
        self.store.open_entry(&sha256)?.take(size).read_to_end(&mut member).map_err(unreadable)?;
        Control::read(&member).map_err(|source| self.refused(source))
    }

    /// Replaces a listing that was damaged.
    fn list_again(&self) -> Result<Listing, LockError> {
        let reading = reading(self.package, None);
        let arrival = arrive::read(arrive::join(&self.store, members(self.package))?, reading)?;
        let listing = arrival.listing().clone();
        let keeper = self.store.keeper();
        settle(self.package, arrival, &keeper)?;
        keeper.finish()?;
        Ok(listing)
    }

    fn refused(&self, source: PackageError) -> LockError {
        LockError::Package { package: self.package.file.clone(), source }
    }
}

/// Brings all packages of some locks into the store, as far as they are not there, and checks each against everything that
/// its lock says of it: the file, its members, and what they hold. In the order of the locks, and of installation.
///
/// What has been checked once is not read again: neither content in the store nor a lock's text changes under its name.
/// A package of which the store has all members is not fetched, even if nothing else is known of it. One that its
/// repository does not have any more is taken from the registry, where its lock's [`Sources`] name one.
///
/// Of a package that is fetched, one thing is not computed: the SHA-256 of the uncompressed data. It was when the lock was
/// made, the SHA-256 of the compressed data leaves it no choice, and it would take three times as long as all other
/// hashing. If a lock was edited there, no engine accepts an image that has the package as a layer.
///
/// Not for use inside of a runtime: it starts one where it has to fetch.
pub fn obtain<'a>(
    locks: &[(&'a Lock, &Sources)],
    client: &Client,
    progress: &dyn Progress,
) -> Result<Vec<Vec<Obtained<'a>>>, LockError> {
    let store = client.store();
    let mut listings = HashMap::new();
    let mut missing: Vec<Missing<'_>> = Vec::new();
    for (lock, sources) in locks {
        for package in &lock.packages {
            let question = question(package);
            if listings.contains_key(&question) {
                if let Some(again) = missing.iter_mut().find(|missing| missing.question == question) {
                    again.registries.extend(sources.registry());
                }
                continue;
            }
            let known = store.recall(&question).filter(|listing| store.find(listing).is_some());
            let whole = arrive::has_all(store, members(package));
            if !(whole && known.is_some()) {
                let registries = sources.registry().into_iter().collect();
                missing.push(Missing { package, lock, sources, registries, question, whole });
            }
            listings.insert(question, known);
        }
    }
    for (question, listing) in bring(missing, client, progress)? {
        listings.insert(question, Some(listing));
    }
    let obtained = |package: &'a LockedPackage| {
        let listing = listings.get(&question(package)).copied().flatten();
        Obtained { package, store: store.clone(), listing }
    };
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

/// Brings in what is missing. Returns the listings, by their questions.
fn bring(
    missing: Vec<Missing<'_>>,
    client: &Client,
    progress: &dyn Progress,
) -> Result<Vec<(Sha256, Sha256)>, LockError> {
    if missing.is_empty() {
        return Ok(Vec::new());
    }
    let store = client.store();
    let keeper = store.keeper();
    let (whole, mut missing): (Vec<_>, Vec<_>) = missing.into_iter().partition(|missing| missing.whole);
    // So that none is begun when all others are done.
    missing.sort_by_key(|missing| std::cmp::Reverse(missing.package.size));
    let requests = missing.iter().map(Missing::request).collect::<Result<Vec<_>, _>>()?;
    let mut listings = Vec::new();
    for Missing { package, question, .. } in &whole {
        // Rare: a lock that was edited, or a store that was cleaned.
        let reading = Reading { with_diff_id: true, ..reading(package, None) };
        let arrival = arrive::read(arrive::join(store, members(package))?, reading)?;
        listings.push((*question, settle(package, arrival, &keeper)?));
    }
    let outcomes = arrive::each(client, (&requests, &missing), progress, |missing, file| {
        let Missing { package, question, .. } = missing;
        let file = match file {
            Err(FetchError::NotFound { .. }) if !(missing.registries.is_empty() || client.is_offline()) => {
                return Ok(None);
            }
            file => file.map_err(|error| missing.explain(error))?,
        };
        let arrival = arrive::read_fetched(file, package.sha256, reading(package, Some(store)))?;
        Ok(Some((*question, settle(package, arrival, &keeper)?)))
    })?;
    let gone: Vec<_> = missing.iter().zip(requests).zip(&outcomes).filter(|(_, outcome)| outcome.is_none()).collect();
    let gone: Vec<_> = gone.into_iter().map(|(gone, _)| gone).collect();
    listings.extend(outcomes.iter().flatten());
    pull(&gone, client, progress)?;
    for (Missing { package, question, .. }, _) in &gone {
        let arrival = arrive::read(arrive::join(store, members(package))?, reading(package, None))?;
        listings.push((*question, settle(package, arrival, &keeper)?));
    }
    keeper.finish()?;
    Ok(listings)
}

/// Brings the members of packages that no repository has any more into the store, from the registry to which images made of
/// them were pushed.
fn pull(gone: &[(&Missing<'_>, Request)], client: &Client, progress: &dyn Progress) -> Result<(), LockError> {
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
    Reading { name: &package.file, trust: Trust::Locked, with_diff_id: false, store }
}

fn members(package: &LockedPackage) -> impl Iterator<Item = &Member> {
    arrive::members(&package.signatures, &package.control, &package.data)
}

/// Keeps a package if it is as the lock says.
fn settle(package: &LockedPackage, arrival: Arrival, keeper: &Keeper) -> Result<Sha256, LockError> {
    let LockedPackage { file, repository, arch, .. } = package;
    let diff_id = arrival.inspected.measured.diff_id.unwrap_or(package.diff_id);
    let found = arrival.inspected.locked(file, repository, arch, diff_id);
    if let Some((expected, found)) = first_difference(&package.to_string(), &found.to_string()) {
        return Err(LockError::NotAsLocked { package: file.clone(), expected, found });
    }
    let listing = arrival.keep(keeper)?;
    remember(package, listing, keeper)?;
    Ok(listing)
}

/// Remembers that a package is as the lock says, and its listing.
pub(super) fn remember(package: &LockedPackage, listing: Sha256, keeper: &Keeper) -> Result<(), LockError> {
    Ok(keeper.remember(&question(package), &listing)?)
}

impl Missing<'_> {
    fn request(&self) -> Result<Request, LockError> {
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
    ) -> Result<(), LockError> {
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
            (LockError::Fetch(_), Some((registry, source))) if matches!(*source, RegistryError::Missing { .. }) => {
                LockError::Gone { package: name, location, registry: registry.to_string(), source }
            }
            (LockError::Fetch(_), Some((registry, source))) => {
                LockError::Registry { package: name, location, registry: registry.to_string(), source }
            }
            (other, _) => other,
        })
    }

    /// A package that is missing because its whole repository has yet to be made is told as that.
    fn explain(&self, error: FetchError) -> LockError {
        let place = self.lock.repositories.iter().find(|repository| repository.name == self.package.repository);
        let imported = place.is_some_and(|repository| matches!(repository.place, Place::Imported(_)));
        match (self.sources.get(&self.package.repository), &error) {
            (Ok(Source::Directory(directory)), FetchError::NotFound { .. }) if imported && !directory.is_dir() => {
                LockError::NotImported { directory: directory.clone() }
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
