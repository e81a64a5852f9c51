//! Locks between processes, as far as the file system has any.
//!
//! Linux makes `flock` a lock of the whole file on NFS: a shared one needs a file that is open for reading, an exclusive one
//! a file that is open for writing. Other file systems have no locks at all. Two processes at a time are rare, so work goes
//! on without a lock where there is none.

use std::fs::{File, TryLockError};
use std::io;

use camino::Utf8Path;
use rustix::io::Errno;

/// The result of trying to take a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attempt {
    Locked,
    /// Another process has it.
    Busy,
    /// The file system has no locks.
    Unavailable,
}

/// Waits for the exclusive lock of `file`, which is at `path` and should be open for writing. Goes on without where the
/// file system has no locks.
pub fn lock_exclusive(file: &File, path: &Utf8Path) -> io::Result<()> {
    settle(file.lock(), path).map(drop)
}

/// The same for the shared lock. The file should be open for reading.
pub(super) fn lock_shared(file: &File, path: &Utf8Path) -> io::Result<()> {
    settle(file.lock_shared(), path).map(drop)
}

/// Asks for the exclusive lock, and doesn't wait.
pub(super) fn try_lock_exclusive(file: &File, path: &Utf8Path) -> io::Result<Attempt> {
    match file.try_lock() {
        Ok(()) => Ok(Attempt::Locked),
        Err(TryLockError::WouldBlock) => Ok(Attempt::Busy),
        Err(TryLockError::Error(error)) => settle(Err(error), path),
    }
}

fn settle(outcome: io::Result<()>, path: &Utf8Path) -> io::Result<Attempt> {
    match outcome {
        Ok(()) => Ok(Attempt::Locked),
        Err(error) if is_unavailable(&error) => {
            tracing::info!(
                "{path} can't be locked ({error}): continuing without a lock; don't run two mailimg processes there"
            );
            Ok(Attempt::Unavailable)
        }
        Err(error) => Err(error),
    }
}

/// Whether the file system has no such lock. `BADF` is NFS's word for a file that is open the other way.
fn is_unavailable(error: &io::Error) -> bool {
    let found = Errno::from_io_error(error);
    found.is_some_and(|found| [Errno::NOLCK, Errno::NOSYS, Errno::OPNOTSUPP, Errno::BADF].contains(&found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_goes_on_where_there_are_no_locks() {
        let path = Utf8Path::new("lock");
        for errno in [Errno::NOLCK, Errno::NOSYS, Errno::OPNOTSUPP, Errno::BADF] {
            assert_eq!(settle(Err(errno.into()), path).unwrap(), Attempt::Unavailable, "{errno}");
        }
        assert_eq!(settle(Err(Errno::INTR.into()), path).unwrap_err().kind(), io::ErrorKind::Interrupted);
    }

    #[test]
    fn an_exclusive_lock_keeps_others_out() {
        let directory = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(directory.path()).unwrap().join("lock");
        let open = || File::options().create(true).truncate(false).read(true).write(true).open(&path).unwrap();
        let (first, second) = (open(), open());
        lock_shared(&first, &path).unwrap();
        assert_eq!(try_lock_exclusive(&second, &path).unwrap(), Attempt::Busy);
        lock_exclusive(&first, &path).unwrap();
        drop(first);
        assert_eq!(try_lock_exclusive(&second, &path).unwrap(), Attempt::Locked);
    }
}
