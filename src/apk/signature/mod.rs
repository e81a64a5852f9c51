//! Signatures of packages and indexes, and the keys that make and check them.
//!
//! Both are signed the same way: a gzip member in front contains a tar archive with one file per signature, named
//! `.SIGN.<algorithm>.<key>`, which signs the compressed bytes of the next member. `RSA` is PKCS#1 v1.5 with SHA-1,
//! which Alpine still uses; `RSA256` and `RSA512` use SHA-256 and SHA-512. SHA-1's weakness is that the *author* can
//! prepare two files with one hash; nobody can find a second file for a hash that Alpine has signed. mailimg itself
//! signs with `RSA256`, which apk supports since 2.8.
//!
//! A signature member is known by its first entry, not by its first bytes: tar writes PAX headers before the entry
//! since about 2025, and a long key name takes a header of its own. No signature covers this member, so bits that mean
//! nothing, such as gzip's time stamp, may differ. What it says is checked: a changed name or signature fails.

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

/// The largest uncompressed signature member, in bytes.
pub(super) const ARCHIVE_LIMIT: u64 = 1 << 17;

/// The most signature members in a file.
pub(super) const MEMBER_LIMIT: usize = 8;

/// The prefix of the names of signatures, and of no other names.
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
    /// An unknown algorithm, such as the obsolete `DSA`. It is never trusted.
    Unknown(String),
}

/// Why a signature check failed.
#[derive(Debug, thiserror::Error)]
pub enum SignatureError {
    /// There is no signature at all.
    #[error("it is not signed")]
    Unsigned,
    /// It is signed, but only by untrusted keys.
    #[error("it is only signed by {}, which is not among the trusted keys ({})", list(.keys), or_none(.trusted))]
    UnknownKey { keys: Vec<String>, trusted: Vec<String> },
    /// A trusted key's signature doesn't match.
    #[error("the signature by the trusted key {key} doesn't match: the content was changed after it was signed")]
    Invalid { key: String },
    /// The archive that holds the signatures is malformed.
    #[error("can't read the signatures")]
    Tar(#[from] TarError),
    /// Something in the archive is no signature.
    #[error("{name:?} in the signature member is not a signature")]
    NotASignature { name: String },
    /// The gzip member around the signatures can't be expanded.
    #[error("can't read the gzip member with the signatures")]
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

/// Takes the signature members off the front of a signed file; the signatures are of the rest. A file without any is
/// all rest.
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

/// Whether this is a valid key name: key names are file names.
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

    /// How to verify it. Keys of 1024 bits date from Alpine's beginnings and are no longer trusted.
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
