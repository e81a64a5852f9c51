use std::collections::HashSet;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use rayon::prelude::*;

use super::arrive;
use super::download::{self, Fetching};
use super::gone::Gone;
use super::obtained::{ListingOf, check, check_head, list, members, reading, remember};
use super::{ObtainError, Obtained, Sources, Surroundings};
use crate::config::{Project, Recipe};
use crate::digest::Sha256;
use crate::fetch::{FetchError, Request, Size, Source};
use crate::lock::{Lock, LockedPackage, Member, Place};
use crate::registry::{self, RegistryError, Repository};
use crate::store::{Question, Store};

/// How many packages are pulled from a registry at once.
const PULLS: usize = 4;

/// The packages of a project's images, given with their locks; see [`obtain`].
pub fn obtain_for<'a>(
    project: &Project,
    locks: &[(&Recipe, &'a Lock)],
    surroundings: Surroundings<'_>,
    fetching: Fetching<'_>,
) -> Result<Vec<Vec<Obtained<'a>>>, ObtainError> {
    let sources = locks.iter().map(|(recipe, lock)| Sources::of_image(project, recipe, lock, surroundings));
    let sources = sources.collect::<Result<Vec<_>, _>>()?;
    obtain(&locks.iter().map(|(_, lock)| *lock).zip(&sources).collect::<Vec<_>>(), fetching)
}

/// Fetches missing packages of some locks into the store, and checks each package against its lock: the file's size,
/// its members and their content. Returns them in the order of the locks, then of installation.
///
/// Checked packages are not read again: a lock's text can't change under its name, and the store notices a change of
/// content. A package is not fetched if the store has all of its members, even if nothing else is known about it. If its
/// repository no longer has it, it is fetched from the registry in its lock's [`Sources`], if there is one.
///
/// Everything that a lock says of a package is compared, even what its members' hashes determine: the SHA-256 of the file
/// and of the uncompressed data. Whether a line is true must not depend on what a machine's store holds.
///
/// Don't call this inside the runtime.
pub fn obtain<'a>(
    locks: &[(&'a Lock, &Sources)],
    fetching: Fetching<'_>,
) -> Result<Vec<Vec<Obtained<'a>>>, ObtainError> {
    let store = fetching.client.store();
    let offline = fetching.client.is_offline();
    let mut seen = HashSet::new();
    let mut missing: Vec<Missing<'_>> = Vec::new();
    for (lock, sources) in locks {
        for package in &lock.packages {
            let question = ListingOf(package);
            let subject = question.subject();
            if !seen.insert(subject) {
                if let Some(again) = missing.iter_mut().find(|missing| missing.subject == subject) {
                    again.registries.extend(sources.registry().filter(|_| !offline));
                }
                continue;
            }
            let known = store.remembers(&question);
            let whole = arrive::has_all(store, members(package));
            if !(whole && known) {
                let registries = sources.registry().filter(|_| !offline).into_iter().collect();
                missing.push(Missing { package, lock, sources, registries, subject, whole });
            }
        }
    }
    store.remember_seals();
    bring(missing, fetching)?;
    let obtained = |package: &'a LockedPackage| Obtained { package, store: store.clone() };
    Ok(locks.iter().map(|(lock, _)| lock.packages.iter().map(obtained).collect()).collect())
}

/// A package that is missing from the store, or not known to match its lock.
struct Missing<'a> {
    package: &'a LockedPackage,
    lock: &'a Lock,
    sources: &'a Sources,
    /// Where images built from the lock may have been pushed; none if no network may be used.
    registries: Vec<&'a Repository>,
    /// A digest of everything that the lock says about it.
    subject: Sha256,
    /// Whether the store has its members.
    whole: bool,
}

/// Fetches missing packages. One that isn't found doesn't stop the others: the error names all of them.
fn bring(missing: Vec<Missing<'_>>, fetching: Fetching<'_>) -> Result<(), ObtainError> {
    if missing.is_empty() {
        return Ok(());
    }
    let store = fetching.client.store();
    let keeper = store.keeper()?;
    let (whole, mut missing): (Vec<_>, Vec<_>) = missing.into_iter().partition(|missing| missing.whole);
    missing.sort_by_key(|missing| missing.package.size);
    let missing = download::from_both_ends(missing);
    let requests = missing.iter().map(Missing::request).collect::<Result<Vec<_>, _>>()?;
    // The lock was edited, the store was cleaned, or an older version made it.
    whole.par_iter().try_for_each(|Missing { package, .. }| list(package, store, reading(package, None)).map(drop))?;
    let answers = download::each(fetching, (&requests, &missing), |missing, file| {
        let Missing { package, .. } = missing;
        let file = match file {
            Err(answer) if answer.is_gone() => return missing.gone(answer).map(Some),
            file => file?,
        };
        let reading = reading(package, Some(store));
        let arrival = arrive::read_fetched(file, package, reading, |head| check_head(package, head))?;
        check(package, &arrival)?;
        remember(package, &arrival.keep(&keeper)?, store)?;
        Ok::<_, ObtainError>(None)
    })?;
    let gone = missing.iter().zip(answers).filter_map(|(missing, gone)| Some((missing, gone?))).collect();
    let mut gone = pull(gone, fetching)?;
    keeper.finish()?;
    if gone.is_empty() {
        return Ok(());
    }
    gone.sort_by(|a, b| a.package.cmp(&b.package));
    Err(ObtainError::Gone { packages: gone })
}

/// Pulls packages that their repositories no longer have from the registries to which their images were pushed. Returns
/// those that aren't there either.
fn pull(gone: Vec<(&Missing<'_>, Gone)>, fetching: Fetching<'_>) -> Result<Vec<Gone>, ObtainError> {
    if gone.iter().all(|(missing, _)| missing.registries.is_empty()) {
        return Ok(gone.into_iter().map(|(_, gone)| gone).collect());
    }
    let client = registry::Client::new(fetching.client.http().clone());
    let packages: Vec<_> = gone.iter().map(|(missing, _)| missing.package).collect();
    let pulls = stream::iter(gone).map(|(missing, gone)| missing.pull(gone, &client, fetching));
    let answers: Vec<Option<Gone>> = fetching.runtime.block_on(pulls.buffered(PULLS).try_collect())?;
    for (package, _) in packages.iter().zip(&answers).filter(|(_, gone)| gone.is_none()) {
        list(package, fetching.client.store(), reading(package, None))?;
    }
    Ok(answers.into_iter().flatten().collect())
}

impl Missing<'_> {
    fn source(&self) -> Result<&Source, ObtainError> {
        self.sources.get(&self.package.repository)
    }

    fn request(&self) -> Result<Request, ObtainError> {
        let Self { package, lock, .. } = self;
        Ok(Request {
            name: package.file.clone(),
            location: self.source()?.file(&lock.arch, &package.file),
            size: Size::Exactly(package.size),
            digest: Some(package.sha256),
        })
    }

    /// A package that its repository doesn't have any more; an error if its whole repository has yet to be made.
    fn gone(&self, answer: FetchError) -> Result<Gone, ObtainError> {
        let Self { package, lock, .. } = self;
        let source = self.source()?;
        let place = lock.repositories.iter().find(|repository| repository.name == package.repository);
        let imported = place.is_some_and(|repository| matches!(repository.place, Place::Imported(_)));
        match source {
            Source::Directory(directory) if imported && !directory.is_dir() => {
                Err(ObtainError::NotImported { directory: directory.clone() })
            }
            _ => Ok(Gone {
                package: format!("{} {}", package.name, package.edition()),
                file: package.file.clone(),
                repository: source.to_string(),
                answer,
                registries: Vec::new(),
            }),
        }
    }

    /// Pulls the package's members from the first registry that has them. If none has, returns `gone` with their names.
    async fn pull(
        &self,
        mut gone: Gone,
        client: &registry::Client,
        Fetching { client: files, progress, .. }: Fetching<'_>,
    ) -> Result<Option<Gone>, ObtainError> {
        for registry in &self.registries {
            match pull_members(self.package, registry, client, files.store()).await {
                Ok(()) => {
                    progress.warn(&format!("{}; fetching {} from {registry}", gone.answer, gone.file));
                    return Ok(None);
                }
                Err(RegistryError::Missing { .. }) => gone.registries.push(registry.to_string()),
                Err(source) => {
                    let (package, registry, source) = (gone.file, registry.to_string(), Box::new(source));
                    return Err(ObtainError::Registry { package, answer: Box::new(gone.answer), registry, source });
                }
            }
        }
        Ok(Some(gone))
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
