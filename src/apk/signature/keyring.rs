//! Which keys are trusted.

use std::collections::BTreeMap;

use super::{KeyError, PublicKey, Signature, SignatureError};
use crate::digest::Sha256;

/// Trusted public keys, by the file name under which signatures call them.
#[derive(Debug, Clone, Default)]
pub struct Keyring {
    keys: BTreeMap<String, PublicKey>,
}

/// SHA-256 of the key files that may be trusted, by file name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pins {
    pins: BTreeMap<String, Sha256>,
}

/// The key files that Alpine's `alpine-keys` package ships, for all architectures and releases. Each line is what
/// `sha256sum` prints.
const ALPINE_KEYS: &str = include_str!("alpine-keys.txt");

impl Keyring {
    /// Trusts nobody.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts a key file if it is one of `pins`.
    pub fn trust_pinned(&mut self, name: &str, pem: &[u8], pins: &Pins) -> Result<(), KeyError> {
        let found = Sha256::of(pem);
        match pins.get(name) {
            None => Err(KeyError::NotPinned { name: name.to_owned(), found }),
            Some(expected) if expected != found => {
                Err(KeyError::WrongFingerprint { name: name.to_owned(), expected, found })
            }
            Some(_) => self.trust(name, pem),
        }
    }

    /// Trusts a key file whatever it is: because somebody has named it for that, or made it.
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

    /// Checks that `message` is signed by a trusted key, and returns the names of all that signed it. Signatures by other
    /// keys count neither for nor against it; a wrong one by a trusted key is an error even beside right ones.
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

impl Pins {
    /// Alpine's keys.
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
