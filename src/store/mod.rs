//! Content-addressed files under the cache directory, and atomic writes elsewhere.
//!
//! ```text
//! <cache>/files-v2/
//!   lock               shared by every process that uses the store, exclusive while it is cleaned
//!   tmp/               what is coming in
//!   sha256/<digest>    what is there: complete, verified, never changed by mailimg
//!   facts/<digest>     what has been found out about content (see [`Question`])
//! ```
//!
//! A new file is written under a temporary name on the same file system, hashed on the way, synced to disk and only
//! then renamed to its digest. A killed process leaves at most a temporary file, which the next process to open the
//! store on its own removes. The directory's name includes the format version, so that versions of mailimg can share
//! one cache directory.
//!
//! All content is in one directory: syncing a directory costs as much as syncing a file, and file systems find a name
//! among many thousands as fast as among a few. Facts are not synced, because they can be found out again: each
//! contains a digest of its question and itself, so one damaged by a crash is ignored. One of them says which files have
//! been hashed, so that a file that something else has changed since is noticed where it is used.

mod atomic;
mod blob;
mod error;
mod facts;
mod keeper;
mod locking;
mod maintain;
mod owner;
mod scratch;
mod seals;
mod support;

use std::fs::File;
use std::io::{self, Read, Seek as _, Write};
use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};
use tempfile::NamedTempFile;

use crate::digest::{Digesting, Hashing, Sha256};

pub use atomic::{WriteError, write_atomic, write_atomic_after, write_output};
pub use blob::{check_blob, open_blob, open_verified_blob};
pub use error::StoreError;
pub use facts::{Fact, Question};
pub use keeper::Keeper;
pub use locking::lock_exclusive;
pub use maintain::{Problem, Removed, gc, remove, verify};
pub use owner::check_owner;
pub use support::{Operation, cautious, persist, set_mode, sync_directory, sync_file};

use locking::{Attempt, Locked};
use scratch::Scratch;
use seals::{Place, Seals};

/// The format version, raised when older entries would be misread.
const BUCKET: &str = "files-v2";

/// An open store. Clones share it. Nothing is removed while it is open.
#[derive(Debug, Clone)]
pub struct Store {
    bucket: Utf8PathBuf,
    /// Replaces the bucket for writing if the bucket is read-only.
    scratch: Option<Arc<Scratch>>,
    /// Which files were hashed.
    seals: Arc<Seals>,
    /// The shared lock, held until the last clone is dropped or the process ends.
    _lock: Option<Arc<Locked>>,
}

/// A file in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// SHA-256 of its content.
    pub digest: Sha256,
    /// Bytes.
    pub size: u64,
    /// Where it is. Read-only.
    pub path: Utf8PathBuf,
}

/// A new file for the store: write to it, then call [`finish`](Incoming::finish). If it is dropped, nothing remains.
#[derive(Debug)]
pub struct Incoming {
    store: Store,
    content: Hashing<NamedTempFile>,
    limit: u64,
}

impl Store {
    /// Opens the store under the cache directory `cache`, creating it if necessary. It is refused if anybody but its owner
    /// may write to it.
    ///
    /// Waits while another process cleans the store.
    pub fn open(cache: &Utf8Path) -> Result<Self, StoreError> {
        let bucket = cache.join(BUCKET);
        let is_writable = scratch::make_directories(&bucket)?;
        owner::check(cache, &scratch::DIRECTORIES)?;
        let path = bucket.join("lock");
        let lock = open_lock(&path).map_err(StoreError::io("open", &path))?.map(Locked);
        if let Some(Locked(lock)) = &lock {
            let failed = || StoreError::io("lock", &path);
            let mut attempt = Attempt::Busy;
            if is_writable {
                attempt = locking::try_lock_exclusive(lock, &path).map_err(failed())?;
            }
            if attempt == Attempt::Locked {
                maintain::remove_leftovers(&bucket)?;
            }
            if attempt != Attempt::Unavailable {
                // Turns an exclusive lock into a shared one. A process that locks in between finds no leftovers.
                locking::lock_shared(lock, &path).map_err(failed())?;
            }
        }
        let scratch = (!is_writable).then(|| Arc::new(Scratch::new(&bucket)));
        let mut store = Self { bucket, scratch, seals: Arc::default(), _lock: lock.map(Arc::new) };
        store.seals = Arc::new(Seals::load(&store));
        Ok(store)
    }

    /// The path of the content with this digest, whether it exists or not.
    #[must_use]
    pub fn path(&self, digest: &Sha256) -> Utf8PathBuf {
        self.readable("sha256", &digest.to_string())
    }

    /// Where a file of the store is, if it is there.
    fn readable(&self, kind: &str, name: &str) -> Utf8PathBuf {
        let scratch = self.scratch.as_ref().and_then(|scratch| scratch.directory());
        let made = scratch.map(|scratch| scratch.join(kind).join(name)).filter(|path| path.exists());
        made.unwrap_or_else(|| self.bucket.join(kind).join(name))
    }

    /// The directory for new files.
    fn writable(&self) -> Result<&Utf8Path, StoreError> {
        match &self.scratch {
            None => Ok(&self.bucket),
            Some(scratch) => scratch.make(),
        }
    }

    /// The path of the content with this digest, if the store has it. An entry that something else has changed since it
    /// was hashed doesn't count, so that it is fetched or made again.
    #[must_use]
    pub fn find(&self, digest: &Sha256) -> Option<Utf8PathBuf> {
        self.find_entry(digest, None)
    }

    /// Like [`find`](Store::find), but ignores an entry of another size.
    #[must_use]
    pub fn find_sized(&self, digest: &Sha256, size: u64) -> Option<Utf8PathBuf> {
        self.find_entry(digest, Some(size))
    }

    fn find_entry(&self, digest: &Sha256, size: Option<u64>) -> Option<Utf8PathBuf> {
        let path = self.path(digest);
        self.seals.is_sound(*digest, size, &path, Place::Own).then_some(path)
    }

    /// Whether a file outside of the store has this content. It is read unless it was before, and hasn't changed since.
    #[must_use]
    pub fn is_sound(&self, path: &Utf8Path, digest: Sha256, size: u64) -> bool {
        self.seals.is_sound(digest, Some(size), path, Place::Copy)
    }

    /// Notes that the file at `path` was hashed while it was written, so that it isn't read again.
    pub fn note_copy(&self, path: &Utf8Path, digest: Sha256) {
        self.seals.add(digest, path, Place::Copy);
    }

    /// Notes that the file at `path` is a hard link or reflink of an entry, so that neither is read again.
    pub fn note_shared(&self, path: &Utf8Path, digest: Sha256) {
        self.seals.add_shared(digest, path, &self.path(&digest));
    }

    /// Remembers what has been hashed or noted. Without this, other processes hash it again.
    pub fn remember_seals(&self) {
        if self.scratch.is_none() {
            self.seals.remember(self);
        }
    }

    /// Opens the content with this digest.
    pub fn open_entry(&self, digest: &Sha256) -> Result<File, StoreError> {
        let path = self.path(digest);
        File::open(&path).map_err(StoreError::io("open", &path))
    }

    /// Starts a new file of at most `limit` bytes.
    pub fn incoming(&self, limit: u64) -> Result<Incoming, StoreError> {
        Ok(Incoming { store: self.clone(), content: Hashing::new(self.temporary()?), limit })
    }

    fn temporary(&self) -> Result<NamedTempFile, StoreError> {
        let directory = self.writable()?.join("tmp");
        NamedTempFile::new_in(&directory).map_err(StoreError::io("make a temporary file in", &directory))
    }

    /// Syncs the directory of contents.
    fn sync(&self) -> Result<(), StoreError> {
        if self.scratch.is_some() {
            return Ok(());
        }
        let contents = self.bucket.join("sha256");
        sync_directory(&contents).map_err(StoreError::io("sync", &contents))
    }

    /// Where content with this digest is put.
    fn place(&self, digest: Sha256) -> Result<Utf8PathBuf, StoreError> {
        Ok(self.writable()?.join("sha256").join(digest.to_string()))
    }

    /// Stores many files at once.
    pub fn keeper(&self) -> Result<Keeper, StoreError> {
        Keeper::new(self.clone())
    }

    /// Stores everything from `reader`, at most `limit` bytes, which must have the digest `expected` if there is one.
    pub fn insert(&self, mut reader: impl Read, expected: Option<Sha256>, limit: u64) -> Result<Entry, StoreError> {
        let mut incoming = self.incoming(limit)?;
        let mut buffer = vec![0; 128 * 1024];
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => return incoming.finish(expected),
                Ok(n) => incoming.write(buffer.get(..n).unwrap_or_default())?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(StoreError::Source { source }),
            }
        }
    }
}

impl Incoming {
    /// Appends `bytes`.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        if self.content.count().saturating_add(bytes.len() as u64) > self.limit {
            return Err(StoreError::TooLarge { limit: self.limit });
        }
        let directory = self.store.writable()?.join("tmp");
        self.content.write_all(bytes).map_err(StoreError::io("write to", &directory))
    }

    /// How many bytes have been written.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.content.count()
    }

    /// Checks the digest, syncs the file and renames it.
    pub fn finish(self, expected: Option<Sha256>) -> Result<Entry, StoreError> {
        let store = self.store.clone();
        let (digest, size, file) = self.checked(expected)?;
        let path = store.place(digest)?;
        settle(file, digest, &path, &store.seals)?;
        store.sync()?;
        Ok(Entry { digest, size, path })
    }

    fn checked(self, expected: Option<Sha256>) -> Result<(Sha256, u64, NamedTempFile), StoreError> {
        let (digest, size, file) = self.content.finish();
        check(digest, size, expected)?;
        Ok((digest, size, file))
    }

    /// Returns the content as a temporary file that doesn't enter the store and disappears when it is closed.
    pub fn into_temporary(self) -> Result<File, StoreError> {
        let directory = self.store.writable()?.join("tmp");
        let (_, _, file) = self.content.finish();
        let mut file = file.into_file();
        file.rewind().map_err(StoreError::io("read in", &directory))?;
        Ok(file)
    }
}

/// Opens the file that locks a store. There is none in a store that can't be written to and is empty, or was copied
/// without it.
///
/// NFS wants a file that is open for reading for the shared lock, and one that is open for writing for the exclusive
/// one.
fn open_lock(path: &Utf8Path) -> io::Result<Option<File>> {
    match File::options().create(true).truncate(false).read(true).write(true).open(path) {
        Err(error) if scratch::is_refusal(&error) => none_if_missing(File::open(path)),
        other => none_if_missing(other),
    }
}

fn none_if_missing<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    }
}

/// Puts a complete file in its place and seals it, without syncing the directory.
fn settle(file: NamedTempFile, digest: Sha256, path: &Utf8Path, seals: &Seals) -> Result<(), StoreError> {
    persist(file, path, 0o444).map_err(StoreError::io("write", path))?;
    seals.add(digest, path, Place::Own);
    Ok(())
}

fn check(digest: Sha256, size: u64, expected: Option<Sha256>) -> Result<(), StoreError> {
    match expected.filter(|expected| *expected != digest) {
        Some(expected) => Err(StoreError::Digest { expected, found: digest, size }),
        None => Ok(()),
    }
}

impl Write for Incoming {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Self::write(self, bytes).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Digesting for Incoming {
    fn sha256(&self) -> Sha256 {
        self.content.sha256()
    }
}

#[cfg(test)]
mod tests;
