//! A package arrives: it is read once, as a stream, and stored as its members.
//!
//! While it is read, it is hashed and decompressed, its data is written to the store's temporary directory, and what
//! the tree needs is recorded (see [`Listing`]). Nothing enters the store until everything has been checked.

use std::io::{self, Read};

use super::ObtainError;
use super::inspect::{Inspected, Trust};
use crate::apk::package::{DATA_LIMIT, Listing, Measured, Member, PackageError, PackageReader};
use crate::digest::{Digesting, Hashing, Sha256};
use crate::fetch::{FetchError, Fetched};
use crate::lock::LockedPackage;
use crate::store::{Incoming, Keeper, Store, StoreError};

/// A package that has been read but is not in the store yet.
pub(crate) struct Arrival {
    pub(crate) inspected: Inspected,
    /// The SHA-256 of the file and of the uncompressed data.
    pub(crate) digests: (Sha256, Sha256),
    listing: Listing,
    signatures: Vec<Vec<u8>>,
    control: Vec<u8>,
    /// None if the store already has it.
    data: Option<Incoming>,
}

/// How to read a package.
#[derive(Clone, Copy)]
pub(crate) struct Reading<'a> {
    /// Its name in messages.
    pub(crate) name: &'a str,
    pub(crate) trust: Trust<'a>,
    /// The store to write the data member to; none if it already has it.
    pub(crate) store: Option<&'a Store>,
}

/// Reads a package and checks its signature, and its data against control.
pub(crate) fn read(source: impl Read, reading: Reading<'_>) -> Result<Arrival, ObtainError> {
    let Reading { name, trust, store } = reading;
    let refused = |error| refused(name, error);
    let reader = PackageReader::open_measuring(source).map_err(refused)?;
    let signers = signers(&reader, name, trust)?;
    let signatures = reader.signature_bytes().map(<[u8]>::to_vec).collect();
    let (control_bytes, control) = (reader.control_bytes().to_vec(), reader.control().clone());
    let reader = match store {
        Some(store) => reader.keep_data(store.incoming(DATA_LIMIT)?),
        None => reader,
    };
    let (listing, data) = Listing::read(reader).map_err(refused)?;
    let inspected = Inspected { control, measured: listing.measured.clone(), signers };
    let unmeasured = || ObtainError::Stored { package: name.to_owned(), source: io::ErrorKind::InvalidData.into() };
    let digests = digests(&listing.measured).ok_or_else(unmeasured)?;
    Ok(Arrival { inspected, digests, listing, signatures, control: control_bytes, data })
}

/// The SHA-256 of a package's file and of its uncompressed data, if it was measured.
pub(crate) fn digests(measured: &Measured) -> Option<(Sha256, Sha256)> {
    measured.sha256.zip(measured.diff_id)
}

/// Inspects a package with a known listing: only its signatures and control are read again.
pub(crate) fn inspect(
    source: impl Read,
    name: &str,
    trust: Trust<'_>,
    listing: &Listing,
) -> Result<Inspected, ObtainError> {
    let reader = PackageReader::new(source).map_err(|error| refused(name, error))?;
    let signers = signers(&reader, name, trust)?;
    Ok(Inspected { control: reader.control().clone(), measured: listing.measured.clone(), signers })
}

/// Names of the trusted keys that signed a package.
fn signers<R: Read, W: Digesting>(
    reader: &PackageReader<R, W>,
    name: &str,
    trust: Trust<'_>,
) -> Result<Vec<String>, ObtainError> {
    let signers = match trust {
        Trust::Locked => Ok(Vec::new()),
        Trust::ByIndex(_) if reader.signatures().is_empty() => Ok(Vec::new()),
        Trust::ByIndex(keyring) | Trust::Signed(keyring) => reader.verify(keyring),
    };
    signers.map_err(|source| ObtainError::Signature { package: name.to_owned(), source })
}

fn refused(name: &str, error: PackageError) -> ObtainError {
    match error {
        PackageError::Copy(error) => match error.downcast::<StoreError>() {
            Ok(error) => error.into(),
            Err(source) => ObtainError::Stored { package: name.to_owned(), source },
        },
        source => ObtainError::Package { package: name.to_owned(), source },
    }
}

impl Arrival {
    fn has_members_of(&self, package: &LockedPackage) -> bool {
        let Measured { signatures, control, data, .. } = &self.inspected.measured;
        (signatures, control, data) == (&package.signatures, &package.control, &package.data)
    }

    pub(crate) fn into_listing(self) -> Listing {
        self.listing
    }

    /// Moves the members into the store. Returns the listing to remember.
    pub(crate) fn keep(self, keeper: &Keeper) -> Result<Listing, ObtainError> {
        for member in self.signatures.iter().chain([&self.control]) {
            keeper.keep_bytes(member)?;
        }
        if let Some(data) = self.data {
            keeper.keep(data, Some(self.inspected.measured.data.sha256))?;
        }
        Ok(self.listing)
    }
}

/// Reads a fetched file like [`read`]. If the file is a different one, that is the error, whatever else may be wrong with
/// it.
pub(crate) fn read_fetched(
    mut file: Fetched,
    package: &LockedPackage,
    reading: Reading<'_>,
) -> Result<Arrival, ObtainError> {
    let result = read(&mut file, reading);
    let found = match &result {
        Ok(arrival) if arrival.has_members_of(package) => None,
        Err(ObtainError::Store(_) | ObtainError::Stored { .. }) => None,
        _ => whole_digest(&mut file),
    };
    match found.filter(|found| *found != package.sha256) {
        Some(found) => {
            let location = Box::new(file.location().clone());
            Err(FetchError::Digest { location, expected: package.sha256, found }.into())
        }
        None => result,
    }
}

fn whole_digest(file: &mut Fetched) -> Option<Sha256> {
    file.rewind().ok()?;
    let mut hashing = Hashing::new(file);
    io::copy(&mut hashing, &mut io::sink()).ok()?;
    Some(hashing.finish().0)
}

/// The members of a package, in order, as the store names them.
pub(crate) fn members<'a>(
    signatures: &'a [Member],
    control: &'a Member,
    data: &'a Member,
) -> impl Iterator<Item = &'a Member> {
    signatures.iter().chain([control, data])
}

/// The names of a package's members in the store.
pub(crate) fn members_of(measured: &Measured) -> Vec<Sha256> {
    members(&measured.signatures, &measured.control, &measured.data).map(|member| member.sha256).collect()
}

/// Whether the store has all of these members.
pub(crate) fn has_all<'a>(store: &Store, mut members: impl Iterator<Item = &'a Member>) -> bool {
    members.all(|member| store.find_sized(&member.sha256, member.size).is_some())
}

/// The package file, joined from its members in the store.
pub(crate) fn join<'a>(store: &Store, members: impl Iterator<Item = &'a Member>) -> Result<impl Read, ObtainError> {
    let mut whole: Box<dyn Read + Send> = Box::new(io::empty());
    for member in members {
        whole = Box::new(whole.chain(store.open_entry(&member.sha256)?));
    }
    Ok(whole)
}
