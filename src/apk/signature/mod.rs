//! Signatures of packages and indexes, and the keys that make and check them.
//!
//! Both are signed the same way: a gzip member in front holds a tar archive with one file a signature, named
//! `.SIGN.<algorithm>.<key>`, which signs the compressed bytes of the member that follows. `RSA` is PKCS#1 v1.5 with
//! SHA-1, which is what Alpine signs with to this day; `RSA256` and `RSA512` are the same with SHA-256 and SHA-512.
//! SHA-1's weakness is that its *makers* can prepare two files of one hash; nobody can find a second file for a hash that
//! Alpine has signed. mailimg itself signs with `RSA256`, which apk knows since 2.8.
//!
//! A signature member is known by its first entry, not by its first bytes: tar writes PAX headers before the entry since
//! about 2025, and a long key name takes a header of its own. No signature covers this member, so bits that mean nothing,
//! such as gzip's time stamp, may differ. What it says is checked: a changed name or signature fails.

#[cfg(test)]
pub(crate) mod fixture;
mod key;
mod keyring;

use std::fmt;
use std::io::Read;

use aws_lc_rs::signature::{self as aws, RsaParameters};
use flate2::bufread::GzDecoder;

pub use key::{KEY_LIMIT, KeyError, PublicKey, SigningKey};
pub use keyring::{Keyring, Pins};

use super::tar::{Entries, EntryKind, TarError};

/// Longest signature that can be checked: that of an RSA key of 16384 bits.
const SIGNATURE_LIMIT: u64 = 2048;

/// Most bytes that a signature member may expand to.
pub(super) const ARCHIVE_LIMIT: u64 = 1 << 17;

/// Most signature members in front of something.
pub(super) const MEMBER_LIMIT: usize = 8;

/// How the names of signatures begin, and no other names.
const NAME_START: &str = ".SIGN.";

/// One signature of a package or an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// How it was made.
    pub algorithm: Algorithm,
    /// File name of the key's public half: `alpine-devel@lists.alpinelinux.org-6165ee59.rsa.pub`.
    pub key: String,
    /// The signature's own bytes; none if the algorithm is not known.
    pub bytes: Vec<u8>,
}

/// How a signature was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Algorithm {
    /// `RSA`: PKCS#1 v1.5 with SHA-1.
    RsaSha1,
    /// `RSA256`: PKCS#1 v1.5 with SHA-256.
    RsaSha256,
    /// `RSA512`: PKCS#1 v1.5 with SHA-512.
    RsaSha512,
    /// One that is not known here, such as the obsolete `DSA`. It vouches for nothing.
    Unknown(String),
}

/// Why nothing trusted vouches for something.
#[derive(Debug, thiserror::Error)]
pub enum SignatureError {
    /// There is no signature at all.
    #[error("it is not signed")]
    Unsigned,
    /// It is signed, but by keys that nobody has said to trust.
    #[error("it is signed by {} only, and none of the trusted keys is of that name ({})", list(.keys), or_none(.trusted))]
    UnknownKey {
        /// Names of the keys that signed it.
        keys: Vec<String>,
        /// Names of the trusted keys.
        trusted: Vec<String>,
    },
    /// A trusted key's signature does not fit.
    #[error("the signature of the trusted key {key} does not match: it was changed after it was signed")]
    Invalid {
        /// Name of the key.
        key: String,
    },
    /// The archive that holds the signatures is malformed.
    #[error("the signatures can't be read")]
    Tar(#[from] TarError),
    /// Something in the archive is no signature.
    #[error("{name:?} among the signatures is no signature")]
    NotASignature {
        /// Its name.
        name: String,
    },
    /// The gzip member around the signatures can't be expanded.
    #[error("the gzip member around the signatures can't be read")]
    Damaged,
    /// A signature member expands to more than any real one does.
    #[error("a signature member expands to more than {ARCHIVE_LIMIT} bytes")]
    TooLarge,
    /// There are more signature members than anybody needs.
    #[error("there are more than {MEMBER_LIMIT} signature members")]
    TooMany,
}

impl Signature {
    /// Reads the signatures of a signature member, from what it expands to.
    pub fn read(archive: &[u8]) -> Result<Vec<Self>, SignatureError> {
        let mut entries = Entries::new(archive);
        let mut signatures = Vec::new();
        while let Some(entry) = entries.next()? {
            let not_one = || SignatureError::NotASignature { name: entry.display_path().into_owned() };
            let name = std::str::from_utf8(&entry.path).ok().and_then(|name| name.strip_prefix(NAME_START));
            let (algorithm, key) = name.and_then(|it| it.split_once('.')).ok_or_else(not_one)?;
            let is_file_name = !key.is_empty() && !key.contains(|c: char| c == '/' || c.is_control());
            let algorithm = Algorithm::from_name(algorithm);
            let is_known = algorithm.parameters().is_some();
            if entry.kind != EntryKind::File || !is_file_name || is_known && entry.size > SIGNATURE_LIMIT {
                return Err(not_one());
            }
            let mut bytes = Vec::new();
            if is_known {
                entries.content().read_to_end(&mut bytes).map_err(TarError::Read)?;
            }
            signatures.push(Self { algorithm, key: key.to_owned(), bytes });
        }
        Ok(signatures)
    }
}

/// Whether a member that expands to `archive`, or to more that begins so, holds signatures.
pub(super) fn is_member(archive: &[u8]) -> bool {
    // Whatever else is wrong with the archive is for its reader to say.
    let first = Entries::new(archive).next().ok().flatten();
    first.is_some_and(|entry| entry.path.starts_with(NAME_START.as_bytes()))
}

/// Takes the signature members off the front of a signed file; the signatures are of the rest. A file without any is all
/// rest.
pub(super) fn split(mut bytes: &[u8]) -> Result<(Vec<Signature>, &[u8]), SignatureError> {
    let mut signatures = Vec::new();
    for _ in 0..MEMBER_LIMIT {
        let mut rest = bytes;
        let mut archive = Vec::new();
        let read = GzDecoder::new(&mut rest).take(ARCHIVE_LIMIT + 1).read_to_end(&mut archive);
        if !is_member(&archive) {
            return Ok((signatures, bytes));
        }
        if archive.len() as u64 > ARCHIVE_LIMIT {
            return Err(SignatureError::TooLarge);
        }
        read.map_err(|_| SignatureError::Damaged)?;
        signatures.extend(Signature::read(&archive)?);
        bytes = rest;
    }
    Err(SignatureError::TooMany)
}

/// Whether a key may be called so: key names are file names.
pub(super) fn is_key_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '@' | '+');
    (1..=255).contains(&name.len()) && !name.starts_with('.') && name.chars().all(allowed)
}

impl Algorithm {
    fn from_name(name: &str) -> Self {
        match name {
            "RSA" => Self::RsaSha1,
            "RSA256" => Self::RsaSha256,
            "RSA512" => Self::RsaSha512,
            other => Self::Unknown(other.to_owned()),
        }
    }

    /// What checks it. Keys of 1024 bits are as old as Alpine and no longer trusted.
    fn parameters(&self) -> Option<&'static RsaParameters> {
        match self {
            Self::RsaSha1 => Some(&aws::RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY),
            Self::RsaSha256 => Some(&aws::RSA_PKCS1_2048_8192_SHA256),
            Self::RsaSha512 => Some(&aws::RSA_PKCS1_2048_8192_SHA512),
            Self::Unknown(_) => None,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RsaSha1 => "RSA",
            Self::RsaSha256 => "RSA256",
            Self::RsaSha512 => "RSA512",
            Self::Unknown(name) => name,
        })
    }
}

fn list(names: &[String]) -> String {
    names.join(", ")
}

fn or_none(names: &[String]) -> String {
    if names.is_empty() { "there are none".to_owned() } else { list(names) }
}

#[cfg(test)]
mod tests;
