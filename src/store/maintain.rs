use std::collections::BTreeSet;
use std::fs::File;
use std::io;

use camino::{Utf8DirEntry, Utf8Path, Utf8PathBuf};

use super::locking::{Attempt, Locked, try_lock_exclusive};
use super::{BUCKET, Store, StoreError, facts, none_if_missing};
use crate::digest::{Hashing, Sha256};

/// An entry that doesn't match its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub path: Utf8PathBuf,
    /// The digest of its content; none if the name is not a digest.
    pub found: Option<Sha256>,
}

/// What [`gc`] removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Removed {
    pub entries: u64,
    pub bytes: u64,
}

/// Reads the whole store again and returns the entries that have changed.
pub fn verify(store: &Store) -> Result<Vec<Problem>, StoreError> {
    let mut problems = Vec::new();
    for entry in list(&store.bucket.join("sha256"))? {
        let path = entry.path().to_owned();
        let mut reader = Hashing::new(File::open(&path).map_err(StoreError::io("open", &path))?);
        io::copy(&mut reader, &mut io::sink()).map_err(StoreError::io("read", &path))?;
        let (found, _, _) = reader.finish();
        match entry.file_name().parse::<Sha256>() {
            Ok(expected) if expected == found => {}
            Ok(_) => problems.push(Problem { path, found: Some(found) }),
            Err(_) => problems.push(Problem { path, found: None }),
        }
    }
    Ok(problems)
}

/// Removes an entry that [`verify`] returned.
pub fn remove(problem: &Problem) -> Result<(), StoreError> {
    std::fs::remove_file(&problem.path).map_err(StoreError::io("remove", &problem.path))
}

/// Removes everything from the store under `cache` that is not in `keep`, and the facts about it.
///
/// Fails with [`StoreError::Busy`] if any process has the store open.
pub fn gc(cache: &Utf8Path, keep: &BTreeSet<Sha256>) -> Result<Removed, StoreError> {
    let bucket = cache.join(BUCKET);
    let path = bucket.join("lock");
    let lock = match File::options().read(true).write(true).open(&path) {
        Ok(lock) => Locked(lock),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Removed::default()),
        Err(error) => return Err(StoreError::io("open", &path)(error)),
    };
    if try_lock_exclusive(&lock.0, &path).map_err(StoreError::io("lock", &path))? == Attempt::Busy {
        return Err(StoreError::Busy { path: bucket });
    }
    remove_leftovers(&bucket)?;
    for entry in list(&bucket.join("facts"))? {
        let path = entry.path();
        let is_useful = facts::about(path)
            .is_some_and(|fact| !fact.refers_to.is_empty() && fact.refers_to.iter().all(|it| keep.contains(it)));
        if !is_useful {
            std::fs::remove_file(path).map_err(StoreError::io("remove", path))?;
        }
    }
    let mut removed = Removed::default();
    for entry in list(&bucket.join("sha256"))? {
        let path = entry.path();
        if entry.file_name().parse().is_ok_and(|digest| keep.contains(&digest)) {
            continue;
        }
        removed.entries += 1;
        removed.bytes += entry.metadata().map_err(StoreError::io("read", path))?.len();
        std::fs::remove_file(path).map_err(StoreError::io("remove", path))?;
    }
    Ok(removed)
}

/// Removes what killed processes left behind. Requires the exclusive lock.
pub(super) fn remove_leftovers(bucket: &Utf8Path) -> Result<(), StoreError> {
    for entry in list(&bucket.join("tmp"))? {
        let path = entry.path();
        std::fs::remove_file(path).map_err(StoreError::io("remove", path))?;
    }
    Ok(())
}

/// The content of a directory, sorted by name. A store that can't be written to may have no directories.
fn list(directory: &Utf8Path) -> Result<Vec<Utf8DirEntry>, StoreError> {
    let read = || directory.read_dir_utf8()?.collect::<io::Result<Vec<_>>>();
    let entries = none_if_missing(read()).map_err(StoreError::io("read the directory", directory))?;
    let mut entries = entries.unwrap_or_default();
    entries.sort_by(|a, b| a.file_name().cmp(b.file_name()));
    Ok(entries)
}
