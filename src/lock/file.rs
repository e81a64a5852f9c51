use camino::{Utf8Path, Utf8PathBuf};

use super::{Lock, LockError};
use crate::config::Files;
use crate::store::{WriteError, write_atomic};

/// The longest lock, in bytes. One with a thousand packages has about a megabyte.
const LIMIT: u64 = 64 * 1024 * 1024;

/// The path of an image's lock, in the folder of its channel.
#[must_use]
pub fn path(channel_dir: &Utf8Path, image: &str, arch: &str) -> Utf8PathBuf {
    channel_dir.join(format!("{image}.{arch}.lock"))
}

impl Lock {
    /// Reads the lock at `path`, a file of the project.
    pub fn read(files: &Files, path: &Utf8Path) -> Result<Self, LockError> {
        let text = match files.read_text(path, LIMIT) {
            Err(error) if error.is_missing() => return Err(LockError::Missing { path: path.to_owned() }),
            text => text?,
        };
        text.parse().map_err(|source| LockError::Parse { path: path.to_owned(), source })
    }

    /// Writes the lock to `path`.
    pub fn write(&self, path: &Utf8Path) -> Result<(), WriteError> {
        write_atomic(path, self.to_string(), 0o644)
    }
}
