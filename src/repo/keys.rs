//! Keys in files.

use camino::{Utf8Path, Utf8PathBuf};

use super::{RepoError, read_limited};
use crate::apk::signature::KEY_LIMIT;
use crate::apk::{Keyring, SigningKey};
use crate::digest::Sha256;
use crate::store::write_atomic;

/// A new key pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPair {
    /// The file of the private key, readable only by its owner.
    pub private: Utf8PathBuf,
    /// File of the public key.
    pub public: Utf8PathBuf,
    /// The SHA-256 of the public key's file, as listed in a channel.
    pub fingerprint: Sha256,
}

/// Creates `NAME.rsa` and `NAME.rsa.pub` in `directory`. If only the private key is there, because it was interrupted or the
/// public key was lost, writes the public key that belongs to it.
pub fn make_key_pair(directory: &Utf8Path, name: &str) -> Result<KeyPair, RepoError> {
    let private = directory.join(format!("{name}.rsa"));
    let public = directory.join(format!("{name}.rsa.pub"));
    let refused = |source| RepoError::Key { path: private.clone(), source };
    if public.exists() {
        return Err(RepoError::KeyExists { path: public });
    }
    let key = if private.exists() {
        read_signing_key(&private)?
    } else {
        let key = SigningKey::generate(&format!("{name}.rsa.pub")).map_err(refused)?;
        write_atomic(&private, key.private_pem().map_err(refused)?, 0o600)?;
        key
    };
    let pem = key.public_pem().map_err(refused)?;
    write_atomic(&public, &pem, 0o644)?;
    Ok(KeyPair { private, public, fingerprint: Sha256::of(pem) })
}

/// Reads a private key. Signatures refer to it by its file name plus `.pub`.
pub fn read_signing_key(path: &Utf8Path) -> Result<SigningKey, RepoError> {
    let pem = read_limited(path, KEY_LIMIT)?;
    let name = format!("{}.pub", path.file_name().unwrap_or_default());
    SigningKey::from_pem(&name, &pem).map_err(|source| RepoError::Key { path: path.to_owned(), source })
}

/// Trusts all keys in a directory, the files that end with `.rsa.pub`. Only for directories that the user has named.
pub fn read_keyring(directory: &Utf8Path) -> Result<Keyring, RepoError> {
    let unreadable = |source| RepoError::Read { path: directory.to_owned(), source };
    let mut keyring = Keyring::new();
    let entries = match directory.read_dir_utf8() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(RepoError::NoKeys { directory: directory.to_owned() });
        }
        entries => entries.map_err(unreadable)?,
    };
    for entry in entries {
        let path = entry.map_err(unreadable)?.into_path();
        let Some(name) = path.file_name().filter(|name| name.ends_with(".rsa.pub")) else { continue };
        let pem = read_limited(&path, KEY_LIMIT)?;
        keyring.trust(name, &pem).map_err(|source| RepoError::Key { path: path.clone(), source })?;
    }
    if keyring.is_empty() { Err(RepoError::NoKeys { directory: directory.to_owned() }) } else { Ok(keyring) }
}
