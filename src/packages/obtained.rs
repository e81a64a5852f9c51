use std::fs::File;
use std::io::Read as _;

use super::ObtainError;
use super::arrive::{self, Arrival, Reading};
use crate::apk::Package;
use crate::apk::package::{Control, Head, Listing, PackageError, PackageFiles};
use crate::digest::Sha256;
use crate::lock::{LockedPackage, Member};
use crate::store::{Question, Store, check_blob};

/// A locked package, verified in the store.
#[derive(Debug, Clone)]
pub struct Obtained<'a> {
    /// Its entry in the lock.
    pub package: &'a LockedPackage,
    pub(super) store: Store,
}

impl Obtained<'_> {
    /// The package's metadata: dependencies, provides and more that a lock doesn't contain.
    pub fn metadata(&self) -> Result<Package, ObtainError> {
        Ok(self.control()?.package)
    }

    /// What the tree needs of the package, with the architecture in the lock. Its data is not read.
    pub fn files(&self) -> Result<PackageFiles, ObtainError> {
        let listing = self.store.recall(&ListingOf(self.package)).map_or_else(|| self.list_again(), Ok)?;
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
        self.store.open_entry(&sha256)?.take(size).read_to_end(&mut member).map_err(&unreadable)?;
        check_blob((Sha256::of(&member), member.len() as u64), (sha256, size)).map_err(unreadable)?;
        Control::read(&member).map_err(|source| self.refused(source))
    }

    /// Recreates a missing or damaged listing.
    fn list_again(&self) -> Result<Listing, ObtainError> {
        list(self.package, &self.store, reading(self.package, None))
    }

    fn refused(&self, source: PackageError) -> ObtainError {
        ObtainError::Package { package: self.package.file.clone(), source }
    }
}

/// Asks for the listing of the package in this block of a lock.
pub(super) struct ListingOf<'a>(pub(super) &'a LockedPackage);

impl Question for ListingOf<'_> {
    const NAME: &'static str = "listing of a locked package";
    const VERSION: u32 = Listing::VERSION;
    type Answer = Listing;

    fn subject(&self) -> Sha256 {
        Sha256::of(self.0.to_string())
    }

    fn refers_to(&self, listing: &Listing) -> Vec<Sha256> {
        arrive::members_of(&listing.measured)
    }
}

pub(super) fn reading<'a>(package: &'a LockedPackage, store: Option<&'a Store>) -> Reading<'a> {
    Reading { name: &package.file, store }
}

pub(super) fn members(package: &LockedPackage) -> impl Iterator<Item = &Member> {
    arrive::members(&package.signatures, &package.control, &package.data)
}

/// Lists a package whose members are all in the store.
pub(super) fn list(package: &LockedPackage, store: &Store, reading: Reading<'_>) -> Result<Listing, ObtainError> {
    let arrival = arrive::read(arrive::join(store, members(package))?, reading, |head| check_head(package, head))?;
    check(package, &arrival)?;
    let listing = arrival.into_listing();
    remember(package, &listing, store)?;
    Ok(listing)
}

/// Rejects a package whose control member isn't the locked one, before that is parsed. No key counts any more.
pub(super) fn check_head(package: &LockedPackage, head: &Head) -> Result<Vec<String>, ObtainError> {
    let (signatures, control) = (head.signature_members().collect(), head.control_member());
    compare(package, &LockedPackage { signatures, control, ..package.clone() })?;
    Ok(Vec::new())
}

/// Rejects a package that doesn't match the lock.
pub(super) fn check(package: &LockedPackage, arrival: &Arrival) -> Result<(), ObtainError> {
    let LockedPackage { file, repository, arch, .. } = package;
    compare(package, &arrival.inspected.locked(file, repository, arch, arrival.digests))
}

fn compare(package: &LockedPackage, found: &LockedPackage) -> Result<(), ObtainError> {
    if let Some((expected, found)) = first_difference(&package.to_string(), &found.to_string()) {
        return Err(ObtainError::NotAsLocked { package: package.file.clone(), expected, found });
    }
    Ok(())
}

/// Remembers the listing of a package that matches the lock.
pub(crate) fn remember(package: &LockedPackage, listing: &Listing, store: &Store) -> Result<(), ObtainError> {
    Ok(store.remember(&ListingOf(package), listing)?)
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
