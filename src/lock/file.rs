use std::io::{self, Read as _};

use camino::{Utf8Path, Utf8PathBuf};

use super::{Lock, LockError};
use crate::store::{WriteError, write_atomic};

/// The longest lock, in bytes. One with a thousand packages has about a megabyte.
const LIMIT: u64 = 64 * 1024 * 1024;

/// The path of an image's lock, in the folder of its channel.
#[must_use]
pub fn path(channel_dir: &Utf8Path, image: &str, arch: &str) -> Utf8PathBuf {
    channel_dir.join(format!("{image}.{arch}.lock"))
}

impl Lock {
    /// Reads the lock at `path`.
    pub fn read(path: &Utf8Path) -> Result<Self, LockError> {
        let text = read(path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => LockError::Missing { path: path.to_owned() },
            _ => LockError::Read { path: path.to_owned(), source },
        })?;
        text.parse().map_err(|source| LockError::Parse { path: path.to_owned(), source })
    }

    /// Writes the lock to `path`.
    pub fn write(&self, path: &Utf8Path) -> Result<(), WriteError> {
        write_atomic(path, self.to_string(), 0o644)
    }
}

fn read(path: &Utf8Path) -> io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(LIMIT).read_to_string(&mut text)?;
    Ok(text)
}
