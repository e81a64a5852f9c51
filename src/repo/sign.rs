//! Signatures of packages and indexes in files.

use camino::Utf8Path;

use super::{RepoError, read_limited};
use crate::apk::index::{self, Index};
use crate::apk::package::{Measured, PackageError, PackageReader, Unparsed};
use crate::apk::{Keyring, SigningKey};
use crate::store::write_atomic;

/// The largest package that can be signed, in bytes: signing is done in memory.
const PACKAGE_LIMIT: u64 = 4 << 30;

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A package: its name ends with `.apk`.
    Package,
    /// An index: everything else.
    Index,
}

impl Kind {
    /// The kind of a file with this name.
    #[must_use]
    pub fn of(path: &Utf8Path) -> Self {
        if path.extension() == Some("apk") { Self::Package } else { Self::Index }
    }
}

/// The result of a successful verification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Names of the trusted keys that signed it.
    pub keys: Vec<String>,
    /// Packages in an index; 1 for a package.
    pub packages: usize,
}

/// Checks that a trusted key has signed an index, or a package and thereby all of its content.
pub fn verify(path: &Utf8Path, keyring: &Keyring) -> Result<Verified, RepoError> {
    match Kind::of(path) {
        Kind::Package => {
            let file = std::fs::File::open(path).map_err(|source| RepoError::Read { path: path.to_owned(), source })?;
            let refused = |source| RepoError::Package { path: path.to_owned(), source };
            let unparsed: Unparsed<_> = Unparsed::new(file).map_err(refused)?;
            let untrusted = |source| RepoError::Untrusted { path: path.to_owned(), source };
            let keys = unparsed.head().verify(keyring).map_err(untrusted)?;
            unparsed.parse().and_then(PackageReader::finish).map_err(refused)?;
            Ok(Verified { keys, packages: 1 })
        }
        Kind::Index => {
            let bytes = read_limited(path, index::FILE_LIMIT)?;
            let refused = |source| RepoError::Index { path: path.to_owned(), source };
            let signed = Index::read(&bytes, keyring).map_err(refused)?;
            signed.index.log_left_out(&path);
            Ok(Verified { keys: signed.keys, packages: signed.index.packages.len() })
        }
    }
}

/// Signs a package or an index, replacing its signatures.
pub fn sign(path: &Utf8Path, key: &SigningKey) -> Result<(), RepoError> {
    let signed = match Kind::of(path) {
        Kind::Package => sign_package(path, key)?,
        Kind::Index => {
            let bytes = read_limited(path, index::FILE_LIMIT)?;
            let refused = |source| RepoError::Index { path: path.to_owned(), source };
            Index::read_unverified(&bytes).map_err(refused)?;
            index::sign_file(&bytes, key).map_err(refused)?
        }
    };
    Ok(write_atomic(path, signed, 0o644)?)
}

fn sign_package(path: &Utf8Path, key: &SigningKey) -> Result<Vec<u8>, RepoError> {
    let bytes = read_limited(path, PACKAGE_LIMIT)?;
    let refused = |source| RepoError::Package { path: path.to_owned(), source };
    let measured = PackageReader::new(&bytes[..]).and_then(PackageReader::finish).map_err(refused)?;
    let Measured { control, .. } = measured;
    let rest = usize::try_from(control.offset).ok().and_then(|offset| bytes.get(offset..));
    let member = rest.and_then(|rest| rest.get(..usize::try_from(control.size).ok()?));
    let (rest, control) = rest.zip(member).ok_or_else(|| refused(PackageError::NoData))?;
    let signature = key.sign(control).map_err(|source| RepoError::Key { path: key.name().into(), source })?;
    Ok([&signature, rest].concat())
}
