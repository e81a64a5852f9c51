//! Which keys are trusted.

use std::collections::BTreeMap;

use super::{KeyError, PublicKey, Signature, SignatureError};
use crate::digest::Sha256;

/// Trusted public keys, by the file name that signatures use.
#[derive(Debug, Clone, Default)]
pub struct Keyring {
    keys: BTreeMap<String, PublicKey>,
}

/// The SHA-256 of trusted key files, by file name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pins {
    pins: BTreeMap<String, Sha256>,
}

/// The key files in Alpine's package `alpine-keys`, for all architectures and releases, as `sha256sum` prints them.
const ALPINE_KEYS: &str = include_str!("alpine-keys.txt");

impl Keyring {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts a key file if it is one of `pins`, perhaps with the line ends of another system.
    pub fn trust_pinned(&mut self, name: &str, pem: &[u8], pins: &Pins) -> Result<(), KeyError> {
        let found = Sha256::of(pem);
        let expected = pins.get(name).ok_or_else(|| KeyError::NotPinned { name: name.to_owned(), found })?;
        let unix = with_unix_line_ends(pem);
        match [pem, &unix].into_iter().find(|pem| Sha256::of(pem) == expected) {
            Some(pinned) => self.trust(name, pinned),
            None => Err(KeyError::WrongFingerprint { name: name.to_owned(), expected, found }),
        }
    }

    /// Trusts a key file unconditionally: the user named it, or it was created here.
    pub fn trust(&mut self, name: &str, pem: &[u8]) -> Result<(), KeyError> {
        let key = PublicKey::from_pem(name, pem)?;
        self.keys.insert(name.to_owned(), key);
        Ok(())
    }

    /// Whether there is no key in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The keys by file name, sorted.
    pub fn keys(&self) -> impl Iterator<Item = (&str, &PublicKey)> {
        self.keys.iter().map(|(name, key)| (name.as_str(), key))
    }

    /// Checks that a trusted key has signed `message`, and returns the names of all that did. Signatures by other keys
    /// are ignored; a wrong one by a trusted key is always an error.
    pub fn verify(&self, signatures: &[Signature], message: &[u8]) -> Result<Vec<String>, SignatureError> {
        let mut good = Vec::new();
        for signature in signatures {
            let Some(key) = self.keys.get(&signature.key) else { continue };
            let Some(parameters) = signature.algorithm.parameters() else { continue };
            if !key.verifies(parameters, message, &signature.bytes) {
                return Err(SignatureError::Invalid { key: signature.key.clone() });
            }
            good.push(signature.key.clone());
        }
        if !good.is_empty() {
            return Ok(good);
        }
        if signatures.is_empty() {
            return Err(SignatureError::Unsigned);
        }
        let keys = signatures.iter().map(|signature| format!("{} ({})", signature.key, signature.algorithm)).collect();
        Err(SignatureError::UnknownKey { keys, trusted: self.keys.keys().cloned().collect() })
    }
}

/// The file with CR LF as LF.
fn with_unix_line_ends(file: &[u8]) -> Vec<u8> {
    let lines: Vec<_> =
        file.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line)).collect();
    lines.join(&b'\n')
}

impl Pins {
    #[must_use]
    pub fn alpine() -> Self {
        let pins = ALPINE_KEYS.lines().filter_map(|line| line.split_once("  "));
        Self { pins: pins.filter_map(|(digest, name)| Some((name.to_owned(), digest.parse().ok()?))).collect() }
    }

    /// Adds a key file.
    pub fn add(&mut self, name: impl Into<String>, fingerprint: Sha256) {
        self.pins.insert(name.into(), fingerprint);
    }

    /// The SHA-256 that the key file of this name must have.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Sha256> {
        self.pins.get(name).copied()
    }

    /// All of them, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Sha256)> {
        self.pins.iter().map(|(name, fingerprint)| (name.as_str(), *fingerprint))
    }
}
