//! A package arrives: it is read once, as a stream, and stored as its members.
//!
//! While it is read, it is hashed and decompressed, its data is written to the store's temporary directory, and what
//! the tree needs is recorded (see [`Listing`]). Nothing enters the store until everything has been checked.

use std::io::{self, Read};

use super::ObtainError;
use super::inspect::Inspected;
use crate::apk::package::{DATA_LIMIT, Head, Listing, Measured, Member, PackageError, PackageReader, Unparsed};
use crate::digest::{Hashing, Sha256};
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
    /// The store to write the data member to; none if it already has it.
    pub(crate) store: Option<&'a Store>,
}

/// Reads a package, and checks its data against control. Control is only parsed if it is what `verify` accepts, which
/// returns the names of the trusted keys that signed it.
pub(crate) fn read<E: From<ObtainError>>(
    source: impl Read,
    reading: Reading<'_>,
    verify: impl FnOnce(&Head) -> Result<Vec<String>, E>,
) -> Result<Arrival, E> {
    let refused = |error| refused(reading.name, error);
    let unparsed = Unparsed::measuring(source).map_err(refused)?;
    let signers = verify(unparsed.head())?;
    Ok(read_on(unparsed.parse().map_err(refused)?, reading, signers)?)
}

fn read_on<R: Read>(
    reader: PackageReader<R, Incoming>,
    Reading { name, store }: Reading<'_>,
    signers: Vec<String>,
) -> Result<Arrival, ObtainError> {
    let signatures = reader.head().signature_bytes().map(<[u8]>::to_vec).collect();
    let (control_bytes, control) = (reader.head().control_bytes().to_vec(), reader.control().clone());
    let reader = match store {
        Some(store) => reader.keep_data(store.incoming(DATA_LIMIT)?),
        None => reader,
    };
    let (listing, data) = Listing::read(reader).map_err(|error| refused(name, error))?;
    let inspected = Inspected { control, measured: listing.measured.clone(), signers };
    let unmeasured = || ObtainError::Stored { package: name.to_owned(), source: io::ErrorKind::InvalidData.into() };
    let digests = digests(&listing.measured).ok_or_else(unmeasured)?;
    Ok(Arrival { inspected, digests, listing, signatures, control: control_bytes, data })
}

/// The SHA-256 of a package's file and of its uncompressed data, if it was measured.
pub(crate) fn digests(measured: &Measured) -> Option<(Sha256, Sha256)> {
    measured.sha256.zip(measured.diff_id)
}

/// Inspects a package with a known listing: only its signatures and control are read again, and verified as by [`read`].
pub(crate) fn inspect<E: From<ObtainError>>(
    source: impl Read,
    name: &str,
    listing: &Listing,
    verify: impl FnOnce(&Head) -> Result<Vec<String>, E>,
) -> Result<Inspected, E> {
    let refused = |error| refused(name, error);
    let unparsed: Unparsed<_> = Unparsed::new(source).map_err(refused)?;
    let signers = verify(unparsed.head())?;
    let control = unparsed.parse().map_err(refused)?.control().clone();
    Ok(Inspected { control, measured: listing.measured.clone(), signers })
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
    verify: impl FnOnce(&Head) -> Result<Vec<String>, ObtainError>,
) -> Result<Arrival, ObtainError> {
    let result = read(&mut file, reading, verify);
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

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;
    use crate::apk::signature::SignatureError;
    use crate::apk::tar::{self, Entry, EntryKind};

    fn member(name: &str, content: &str) -> Vec<u8> {
        let mut archive = Vec::new();
        let entry = Entry { size: content.len() as u64, ..Entry::new(name, EntryKind::File, 0o644) };
        tar::append(&mut archive, &entry, &mut content.as_bytes()).unwrap();
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(&archive).unwrap();
        gzip.finish().unwrap()
    }

    #[test]
    fn control_is_verified_before_it_is_parsed() {
        let control = member(".PKGINFO", "depend = <=>");
        let package = [control.clone(), member("file", "content")].concat();
        let reading = Reading { name: "bad.apk", store: None };
        let accept = |head: &Head| {
            assert_eq!(head.control_bytes(), control);
            Ok::<_, ObtainError>(Vec::new())
        };
        let refuse =
            |_: &Head| Err(ObtainError::Signature { package: "bad.apk".to_owned(), source: SignatureError::Unsigned });
        let parsed = read(&package[..], reading, accept).err().unwrap();
        assert!(matches!(parsed, ObtainError::Package { source: PackageError::Info(_), .. }), "{parsed}");
        let refused = read(&package[..], reading, refuse).err().unwrap();
        assert!(matches!(refused, ObtainError::Signature { .. }), "{refused}");
    }
}
