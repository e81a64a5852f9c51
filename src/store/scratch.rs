//! A store that can't be written to.

use std::io;
use std::sync::OnceLock;

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::Access;
use tempfile::TempDir;

use super::{StoreError, owner};

/// The directories of a store.
pub(super) const DIRECTORIES: [&str; 3] = ["tmp", "sha256", "facts"];

/// A temporary directory for new files while the store is read-only, created on first use.
#[derive(Debug)]
pub(super) struct Scratch {
    /// The bucket that can't be written to.
    bucket: Utf8PathBuf,
    directory: OnceLock<TempDir>,
}

impl Scratch {
    pub(super) fn new(bucket: &Utf8Path) -> Self {
        Self { bucket: bucket.to_owned(), directory: OnceLock::new() }
    }

    /// The directory, if anything has been made.
    pub(super) fn directory(&self) -> Option<&Utf8Path> {
        self.directory.get().and_then(|directory| Utf8Path::from_path(directory.path()))
    }

    /// The directory, which is there from now on.
    pub(super) fn make(&self) -> Result<&Utf8Path, StoreError> {
        if self.directory().is_none() {
            let parent = Utf8PathBuf::from_path_buf(std::env::temp_dir()).unwrap_or_else(|_| "/tmp".into());
            let directory = tempfile::Builder::new().prefix("mailimg-").tempdir_in(&parent);
            let directory = directory.map_err(StoreError::io("make a temporary directory in", &parent))?;
            for name in DIRECTORIES {
                let made = std::fs::create_dir(directory.path().join(name));
                made.map_err(StoreError::io("make a temporary directory in", &parent))?;
            }
            if self.directory.set(directory).is_ok() {
                tracing::warn!("{} can't be written to: new content is not kept", self.bucket);
            }
        }
        let lost = || StoreError::io("make a temporary directory for", &self.bucket)(io::ErrorKind::NotFound.into());
        self.directory().ok_or_else(lost)
    }
}

/// Makes the directories of the store at `bucket`. False if it can't be written to, whether they are there or not.
pub(super) fn make_directories(bucket: &Utf8Path) -> Result<bool, StoreError> {
    for name in DIRECTORIES {
        let directory = bucket.join(name);
        match owner::make_directory(&directory) {
            Err(error) if is_refusal(&error) => return Ok(false),
            made => made.map_err(StoreError::io("make the directory", &directory))?,
        }
    }
    let is_writable = |name| rustix::fs::access(bucket.join(name).as_std_path(), Access::WRITE_OK).is_ok();
    Ok(DIRECTORIES.into_iter().all(is_writable))
}

/// Whether an error says that nothing may be written there.
pub(super) fn is_refusal(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}
