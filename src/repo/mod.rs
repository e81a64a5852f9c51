//! Creates repositories: indexes and signatures of existing packages, and the keys for them.

mod error;
mod index;
mod keys;
mod sign;

pub use error::RepoError;
pub use index::{index, packages_in};
pub use keys::{KeyPair, make_key_pair, read_keyring, read_signing_key};
pub use sign::{Kind, Verified, sign, verify};

use std::io::Read;

use camino::Utf8Path;

/// Reads a file that should be no larger than `limit`.
fn read_limited(path: &Utf8Path, limit: u64) -> Result<Vec<u8>, RepoError> {
    let failed = |source| RepoError::Read { path: path.to_owned(), source };
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    let read = file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    if read as u64 > limit { Err(RepoError::TooLarge { path: path.to_owned(), limit }) } else { Ok(bytes) }
}
