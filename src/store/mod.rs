//! Content-addressed files under the cache directory, and atomic writes anywhere else.
//!
//! ```text
//! <cache>/files-v2/
//!   lock               shared by every process that uses the store, exclusive while it is cleaned
//!   tmp/               what is coming in
//!   sha256/<digest>    what is there: complete, verified, never changed
//!   facts/<digest>     what has been found out about content (see [`Store::remember`])
//! ```
//!
//! A file comes in under a temporary name in the same file system, is hashed on the way, synced to disk and only then
//! renamed to its digest. A process that is killed leaves at most a temporary file, which the next one to open the store
//! alone removes. Names change with the layout's version, so that versions of mailimg can share one cache directory.
//!
//! All content is in one directory: syncing a directory costs as much as syncing a file, and file systems find a name
//! among many thousands as fast as among a few. Facts are not synced at all, because they can be found out again: each
//! holds a digest of its question and itself, and one that a crash has damaged is not believed.

mod atomic;
mod error;
mod keeper;
mod maintain;

use std::fs::{File, Permissions};
use std::io::{self, Read, Seek as _, Write};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tempfile::NamedTempFile;

use crate::digest::{Digesting, Hashing, Sha256};

pub use atomic::{WriteError, write_atomic, write_atomic_after};
pub use error::StoreError;
pub use keeper::Keeper;
pub use maintain::{Problem, Removed, gc, remove, verify};

use atomic::sync_directory;

/// The layout's version: raised when older entries would be misread.
const BUCKET: &str = "files-v2";

/// Longest answer that is remembered. The listing of a package of a hundred thousand files has about 10 MB.
const ANSWER_LIMIT: u64 = 512 << 20;

/// An open store. Clones share it; while one is open, nothing in it is removed.
#[derive(Debug, Clone)]
pub struct Store {
    bucket: Utf8PathBuf,
    /// Holds the shared lock; it ends with the last clone, or with the process.
    _lock: Arc<File>,
}

/// What came into the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// SHA-256 of its content.
    pub digest: Sha256,
    /// Bytes.
    pub size: u64,
    /// Where it is. Read-only.
    pub path: Utf8PathBuf,
}

/// A file on its way into the store: write to it, then [`finish`](Incoming::finish). Dropped, it leaves nothing.
#[derive(Debug)]
pub struct Incoming {
    store: Store,
    content: Hashing<NamedTempFile>,
    limit: u64,
}

impl Store {
    /// Opens the store under the cache directory `cache`, and makes it if there is none.
    ///
    /// Waits while another process cleans it.
    pub fn open(cache: &Utf8Path) -> Result<Self, StoreError> {
        let bucket = cache.join(BUCKET);
        for directory in ["tmp", "sha256", "facts"] {
            let directory = bucket.join(directory);
            std::fs::create_dir_all(&directory).map_err(StoreError::io("make the directory", &directory))?;
        }
        let path = bucket.join("lock");
        let open = || File::options().create(true).truncate(false).write(true).open(&path);
        let lock = open().map_err(StoreError::io("open", &path))?;
        if lock.try_lock().is_ok() {
            maintain::remove_leftovers(&bucket)?;
            // Turns the exclusive lock into a shared one. Whoever gets in between finds no leftovers.
        }
        lock.lock_shared().map_err(StoreError::io("lock", &path))?;
        Ok(Self { bucket, _lock: Arc::new(lock) })
    }

    /// Where the content with this digest is or would be.
    #[must_use]
    pub fn path(&self, digest: &Sha256) -> Utf8PathBuf {
        self.contents().join(digest.to_string())
    }

    /// Where all content is.
    fn contents(&self) -> Utf8PathBuf {
        self.bucket.join("sha256")
    }

    /// The path of the content with this digest, if the store has it.
    #[must_use]
    pub fn find(&self, digest: &Sha256) -> Option<Utf8PathBuf> {
        Some(self.path(digest)).filter(|path| path.is_file())
    }

    /// As [`find`](Store::find), but an entry of another size counts as absent, so that it is brought in again.
    #[must_use]
    pub fn find_sized(&self, digest: &Sha256, size: u64) -> Option<Utf8PathBuf> {
        let path = self.path(digest);
        let found = path.metadata().ok()?;
        (found.is_file() && found.len() == size).then_some(path)
    }

    /// Opens the content with this digest.
    pub fn open_entry(&self, digest: &Sha256) -> Result<File, StoreError> {
        let path = self.path(digest);
        File::open(&path).map_err(StoreError::io("open", &path))
    }

    /// Starts a file of at most `limit` bytes.
    pub fn incoming(&self, limit: u64) -> Result<Incoming, StoreError> {
        Ok(Incoming { store: self.clone(), content: Hashing::new(self.temporary()?), limit })
    }

    fn temporary(&self) -> Result<NamedTempFile, StoreError> {
        let directory = self.bucket.join("tmp");
        NamedTempFile::new_in(&directory).map_err(StoreError::io("make a temporary file in", &directory))
    }

    /// Makes the names of content survive a crash.
    fn sync(&self) -> Result<(), StoreError> {
        let contents = self.contents();
        sync_directory(&contents).map_err(StoreError::io("sync", &contents))
    }

    /// For bringing in many files at once.
    #[must_use]
    pub fn keeper(&self) -> Keeper {
        Keeper::new(self.clone())
    }

    /// Brings in all that `reader` gives, at most `limit` bytes, with the digest `expected` if there is one.
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

    /// Remembers the answer to a question about content. The question is the digest of its text.
    ///
    /// For what is costly to find out and can't change, such as "which entries has this package?". The answer may be
    /// forgotten: whoever asks must be able to find out again.
    pub fn remember(&self, question: &Sha256, answer: &impl Serialize) -> Result<(), StoreError> {
        let path = self.fact(question);
        let failed = StoreError::io("write", &path);
        let answer = match postcard::to_stdvec(answer) {
            Ok(answer) => answer,
            Err(error) => return Err(failed(io::Error::other(error))),
        };
        let fact = [seal(question, &answer).as_bytes(), answer.as_slice()].concat();
        if std::fs::read(&path).is_ok_and(|known| known == fact) {
            return Ok(());
        }
        let mut file = self.temporary()?;
        let write = || {
            file.write_all(&fact)?;
            file.as_file().set_permissions(Permissions::from_mode(0o444))?;
            file.persist(&path).map_err(|error| error.error)
        };
        write().map(drop).map_err(failed)
    }

    /// What has been [remembered](Store::remember), if it is a `T`.
    #[must_use]
    pub fn recall<T: DeserializeOwned>(&self, question: &Sha256) -> Option<T> {
        let mut fact = Vec::new();
        File::open(self.fact(question)).ok()?.take(ANSWER_LIMIT).read_to_end(&mut fact).ok()?;
        let (found, answer) = fact.split_first_chunk::<32>()?;
        if found != seal(question, answer).as_bytes() {
            return None;
        }
        let (answer, rest) = postcard::take_from_bytes(answer).ok()?;
        rest.is_empty().then_some(answer)
    }

    /// Whether anything has been remembered, be it damaged.
    #[must_use]
    pub fn remembers(&self, question: &Sha256) -> bool {
        self.fact(question).is_file()
    }

    fn fact(&self, question: &Sha256) -> Utf8PathBuf {
        self.bucket.join("facts").join(question.to_string())
    }
}

impl Incoming {
    /// Appends `bytes`.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        if self.content.count().saturating_add(bytes.len() as u64) > self.limit {
            return Err(StoreError::TooLarge { limit: self.limit });
        }
        let directory = self.store.bucket.join("tmp");
        self.content.write_all(bytes).map_err(StoreError::io("write to", &directory))
    }

    /// How many bytes have been written.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.content.count()
    }

    /// Checks the digest, syncs to disk and gives the file its name.
    pub fn finish(self, expected: Option<Sha256>) -> Result<Entry, StoreError> {
        let store = self.store.clone();
        let (digest, size, file) = self.checked(expected)?;
        let path = store.path(&digest);
        settle(file, &path)?;
        store.sync()?;
        Ok(Entry { digest, size, path })
    }

    /// Checks the digest.
    fn checked(self, expected: Option<Sha256>) -> Result<(Sha256, u64, NamedTempFile), StoreError> {
        let (digest, size, file) = self.content.finish();
        check(digest, size, expected)?;
        Ok((digest, size, file))
    }

    /// Gives what has been written as a file that is gone when it is closed, and does not come into the store.
    pub fn into_temporary(self) -> Result<File, StoreError> {
        let directory = self.store.bucket.join("tmp");
        let (_, _, file) = self.content.finish();
        let mut file = file.into_file();
        file.rewind().map_err(StoreError::io("read in", &directory))?;
        Ok(file)
    }
}

/// Syncs a complete file and gives it its name, which is not synced yet.
fn settle(file: NamedTempFile, path: &Utf8Path) -> Result<(), StoreError> {
    let write = || {
        file.as_file().set_permissions(Permissions::from_mode(0o444))?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)
    };
    write().map(drop).map_err(StoreError::io("write", path))
}

/// What an answer begins with, so that neither a damaged one is believed, nor that to another question: after a crash, a
/// file that was not synced can hold what another one held.
fn seal(question: &Sha256, answer: &[u8]) -> Sha256 {
    Sha256::of([question.as_bytes(), answer].concat())
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
