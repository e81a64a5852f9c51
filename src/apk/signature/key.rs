//! RSA keys: public ones to verify signatures, private ones to sign.

use std::fmt;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaParameters, UnparsedPublicKey};

use super::is_key_name;
use crate::apk::gzip;
use crate::apk::tar::{self, Entry, EntryKind};
use crate::digest::Sha256;

/// Largest key file that is read.
pub const KEY_LIMIT: u64 = 1 << 16;

/// A trusted public key.
#[derive(Debug, Clone)]
pub struct PublicKey {
    /// SubjectPublicKeyInfo.
    der: Vec<u8>,
    fingerprint: Sha256,
}

/// A private key for packages and indexes, with the name of its public half.
pub struct SigningKey {
    name: String,
    pair: KeyPair,
}

/// Why a key can't be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A name that can't be part of a signature's file name.
    #[error(
        "{name:?} is not a valid key name: it must end with .rsa.pub and contain only letters, digits and . _ - @ +"
    )]
    Name { name: String },
    /// The file is not a PEM key.
    #[error("{name} is not a {expected} key in PEM format")]
    NotAKey { name: String, expected: &'static str },
    /// A private key that can't sign.
    #[error("{name} was rejected: {reason}")]
    Rejected { name: String, reason: String },
    /// The key is not trusted.
    #[error("the key {name} is neither Alpine's nor listed in the channel (its SHA-256 is {found})")]
    NotPinned { name: String, found: Sha256 },
    /// A different key file with the name of a trusted key.
    #[error("the key file {name} is not the trusted one: expected SHA-256 {expected}, found {found}")]
    WrongFingerprint { name: String, expected: Sha256, found: Sha256 },
    /// The cryptographic library failed.
    #[error("can't create or use an RSA key")]
    Library,
}

impl PublicKey {
    /// Reads a public key in PEM. `name` is its file name.
    pub fn from_pem(name: &str, pem: &[u8]) -> Result<Self, KeyError> {
        if !is_key_name(name) {
            return Err(KeyError::Name { name: name.to_owned() });
        }
        let error = || KeyError::NotAKey { name: name.to_owned(), expected: "public" };
        let der = from_pem(pem, "PUBLIC KEY").ok_or_else(error)?;
        // Check that it is a key, not just base64.
        UnparsedPublicKey::new(&aws_lc_rs::signature::RSA_PKCS1_2048_8192_SHA256, &der)
            .parse()
            .map_err(|rejected| KeyError::Rejected { name: name.to_owned(), reason: rejected.to_string() })?;
        Ok(Self { der, fingerprint: Sha256::of(pem) })
    }

    /// SHA-256 of the key's file.
    #[must_use]
    pub fn fingerprint(&self) -> Sha256 {
        self.fingerprint
    }

    pub(super) fn verifies(&self, parameters: &'static RsaParameters, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(parameters, &self.der).verify(message, signature).is_ok()
    }
}

impl SigningKey {
    /// Creates a 4096-bit key. `name` is the file name of its public half and ends with `.rsa.pub`.
    pub fn generate(name: &str) -> Result<Self, KeyError> {
        Self::of_size(name, KeySize::Rsa4096)
    }

    /// A smaller key for tests, which is faster to create.
    #[cfg(test)]
    pub(crate) fn generate_small(name: &str) -> Result<Self, KeyError> {
        Self::of_size(name, KeySize::Rsa2048)
    }

    fn of_size(name: &str, size: KeySize) -> Result<Self, KeyError> {
        Ok(Self { name: checked_name(name)?, pair: KeyPair::generate(size).map_err(|_| KeyError::Library)? })
    }

    /// Reads a private key in PEM, PKCS#8 or PKCS#1, without a pass phrase.
    pub fn from_pem(name: &str, pem: &[u8]) -> Result<Self, KeyError> {
        let name = checked_name(name)?;
        let pair = match (from_pem(pem, "PRIVATE KEY"), from_pem(pem, "RSA PRIVATE KEY")) {
            (Some(der), _) => KeyPair::from_pkcs8(&der),
            (None, Some(der)) => KeyPair::from_der(&der),
            (None, None) => return Err(KeyError::NotAKey { name, expected: "private" }),
        };
        let pair = pair.map_err(|rejected| KeyError::Rejected { name: name.clone(), reason: rejected.to_string() })?;
        Ok(Self { name, pair })
    }

    /// File name of the public half.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The private key in PEM. Keep it secret.
    pub fn private_pem(&self) -> Result<String, KeyError> {
        let der: Pkcs8V1Der<'_> = self.pair.as_der().map_err(|_| KeyError::Library)?;
        Ok(to_pem(der.as_ref(), "PRIVATE KEY"))
    }

    /// The public key in PEM, as in `/etc/apk/keys`.
    pub fn public_pem(&self) -> Result<String, KeyError> {
        let der: PublicKeyX509Der<'_> = self.pair.public_key().as_der().map_err(|_| KeyError::Library)?;
        Ok(to_pem(der.as_ref(), "PUBLIC KEY"))
    }

    /// Signs the compressed bytes of a member, using SHA-256, and returns the signature member to put in front of it.
    /// The same key and bytes give the same signature.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        let random = aws_lc_rs::rand::SystemRandom::new();
        self.pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).map_err(|_| KeyError::Library)?;
        let mut entry = Entry::new(format!(".SIGN.RSA256.{}", self.name), EntryKind::File, 0o644);
        entry.size = signature.len() as u64;
        let mut archive = Vec::new();
        tar::append(&mut archive, &entry, &mut &signature[..]).map_err(|_| KeyError::Library)?;
        Ok(gzip::compress_like_gzip(&archive))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("name", &self.name).finish_non_exhaustive()
    }
}

fn checked_name(name: &str) -> Result<String, KeyError> {
    if is_key_name(name) && name.len() > ".rsa.pub".len() && name.ends_with(".rsa.pub") {
        Ok(name.to_owned())
    } else {
        Err(KeyError::Name { name: name.to_owned() })
    }
}

/// The first block with this label.
fn from_pem(pem: &[u8], label: &str) -> Option<Vec<u8>> {
    let blocks = pem::parse_many(Some(pem).filter(|pem| pem.len() as u64 <= KEY_LIMIT)?).ok()?;
    blocks.into_iter().find(|block| block.tag() == label).map(pem::Pem::into_contents)
}

fn to_pem(der: &[u8], label: &str) -> String {
    let pem = pem::Pem::new(label, der);
    pem::encode_config(&pem, pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF))
}
