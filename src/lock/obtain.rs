use std::fs::File;
use std::io::{self, Seek as _, SeekFrom};

use camino::Utf8PathBuf;
use rayon::prelude::*;

use super::inspect::{Trust, inspect};
use super::{Lock, LockError, LockedPackage, LockedRepository, Place, Sources};
use crate::apk::Package;
use crate::apk::package::{PackageError, PackageFiles, PackageReader};
use crate::digest::Sha256;
use crate::fetch::{Client, FetchError, Progress, Request, Size, Source};
use crate::store::Store;

/// A locked package in the store, checked.
#[derive(Debug, Clone)]
pub struct Obtained<'a> {
    /// What the lock says of it.
    pub package: &'a LockedPackage,
    /// The file.
    path: Utf8PathBuf,
}

impl Obtained<'_> {
    /// What the package says of itself: what it depends on, what it provides, and more that a lock doesn't hold.
    pub fn metadata(&self) -> Result<Package, LockError> {
        let reader = PackageReader::new(self.open()?).map_err(|source| self.refused(source))?;
        Ok(reader.control().package.clone())
    }

    /// What the tree needs of the package, under the architecture by which the lock lists it.
    pub fn files(&self) -> Result<PackageFiles, LockError> {
        let (files, _) = PackageFiles::read(self.open()?).map_err(|source| self.refused(source))?;
        Ok(files.listed_for(&self.package.arch))
    }

    /// The data member: a file whose bytes from where it stands to its end are that member's, for
    /// [`DataReader`](crate::apk::package::DataReader).
    pub fn data(&self) -> Result<File, LockError> {
        let mut file = self.open()?;
        match file.seek(SeekFrom::Start(self.package.data.offset)) {
            Ok(_) => Ok(file),
            Err(source) => Err(self.unreadable(source)),
        }
    }

    fn open(&self) -> Result<File, LockError> {
        File::open(&self.path).map_err(|source| self.unreadable(source))
    }

    fn unreadable(&self, source: io::Error) -> LockError {
        LockError::Stored { package: self.package.file.clone(), source }
    }

    fn refused(&self, source: PackageError) -> LockError {
        LockError::Package { package: self.package.file.clone(), source }
    }
}

/// Brings all packages of a lock into the store, as far as they are not there, and checks each against everything that
/// the lock says of it: the file, its members, and what they hold. In the order of installation.
///
/// What has been checked once is not read again: neither content in the store nor a lock's text changes under its name.
pub async fn obtain<'a>(
    lock: &'a Lock,
    sources: &Sources,
    client: &Client,
    progress: &dyn Progress,
) -> Result<Vec<Obtained<'a>>, LockError> {
    let request = |package: &LockedPackage| {
        Ok(Request {
            name: package.file.clone(),
            location: sources.get(&package.repository)?.file(&lock.arch, &package.file),
            size: Size::Exactly(package.size),
            digest: Some(package.sha256),
        })
    };
    let requests = lock.packages.iter().map(request).collect::<Result<Vec<_>, LockError>>()?;
    let entries = client.fetch_all(&requests, progress).await.map_err(|error| explain(error, lock, sources))?;
    let obtained: Vec<_> =
        lock.packages.iter().zip(entries).map(|(package, entry)| Obtained { package, path: entry.path }).collect();
    obtained.par_iter().try_for_each(|obtained| check(obtained, client.store()))?;
    Ok(obtained)
}

/// A package that is missing because its whole repository has yet to be made is told as that.
fn explain(error: FetchError, lock: &Lock, sources: &Sources) -> LockError {
    let not_made = |repository: &LockedRepository| match (&repository.place, sources.get(&repository.name)) {
        (Place::Imported(_), Ok(Source::Directory(directory))) if !directory.is_dir() => Some(directory.clone()),
        _ => None,
    };
    match lock.repositories.iter().find_map(not_made) {
        Some(directory) if matches!(error, FetchError::NotFound { .. }) => LockError::NotImported { directory },
        _ => error.into(),
    }
}

fn check(obtained: &Obtained<'_>, store: &Store) -> Result<(), LockError> {
    let Obtained { package, path } = obtained;
    let expected = package.to_string();
    let question = Sha256::of(format!("is a package file as this block of a lock says? v1\n{expected}"));
    if store.recall(&question) == Some(package.sha256) {
        return Ok(());
    }
    let found = inspect(path, &package.file, Trust::Locked)?.locked(&package.file, &package.repository, &package.arch);
    if let Some((expected, found)) = first_difference(&expected, &found.to_string()) {
        return Err(LockError::NotAsLocked { package: package.file.clone(), expected, found });
    }
    Ok(store.remember(&question, &package.sha256)?)
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
