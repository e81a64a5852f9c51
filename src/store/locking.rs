//! Locks between processes, as far as the file system has any.
//!
//! Linux makes `flock` a lock of the whole file on NFS: a shared one needs a file that is open for reading, an exclusive one
//! a file that is open for writing. Other file systems have no locks at all. Two processes at a time are rare, so work goes
//! on without a lock where there is none.

use std::fs::{File, TryLockError};
use std::io;

use camino::Utf8Path;

use super::support::Operation;

/// The result of trying to take a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attempt {
    Locked,
    /// Another process has it.
    Busy,
    /// The file system has no locks.
    Unavailable,
}

/// A file that may be locked. Dropping this unlocks it: closing it would not be enough while a child process is being
/// started, because the child has it open, too, until its program runs.
#[derive(Debug)]
pub(super) struct Locked(pub(super) File);

impl Drop for Locked {
    fn drop(&mut self) {
        // Fails only where there are no locks.
        let _ = self.0.unlock();
    }
}

/// Waits for the exclusive lock of `file`, which is at `path` and should be open for writing. Goes on without where the
/// file system has no locks.
pub fn lock_exclusive(file: &File, path: &Utf8Path) -> io::Result<()> {
    settle(|| file.lock().map_err(TryLockError::Error), path).map(drop)
}

/// The same for the shared lock. The file should be open for reading.
pub(super) fn lock_shared(file: &File, path: &Utf8Path) -> io::Result<()> {
    settle(|| file.lock_shared().map_err(TryLockError::Error), path).map(drop)
}

/// Asks for the exclusive lock, and doesn't wait.
pub(super) fn try_lock_exclusive(file: &File, path: &Utf8Path) -> io::Result<Attempt> {
    settle(|| file.try_lock(), path)
}

/// Tries to take a lock, again if a signal interrupts it.
fn settle(mut take: impl FnMut() -> Result<(), TryLockError>, path: &Utf8Path) -> io::Result<Attempt> {
    loop {
        match take() {
            Ok(()) => return Ok(Attempt::Locked),
            Err(TryLockError::WouldBlock) => return Ok(Attempt::Busy),
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(TryLockError::Error(error)) if Operation::Lock.is_unsupported(&error) => {
                tracing::info!(
                    "{path} can't be locked ({error}): continuing without a lock; don't run two mailimg processes there"
                );
                return Ok(Attempt::Unavailable);
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;

    fn fails(errno: Errno) -> Result<(), TryLockError> {
        Err(TryLockError::Error(errno.into()))
    }

    #[test]
    fn work_goes_on_where_there_are_no_locks() {
        let path = Utf8Path::new("lock");
        for errno in [Errno::NOLCK, Errno::NOSYS, Errno::OPNOTSUPP, Errno::BADF, Errno::IO, Errno::INVAL] {
            assert_eq!(settle(|| fails(errno), path).unwrap(), Attempt::Unavailable, "{errno}");
        }
        assert_eq!(settle(|| Err(TryLockError::WouldBlock), path).unwrap(), Attempt::Busy);
    }

    #[test]
    fn an_interrupted_wait_goes_on() {
        let mut outcomes = [fails(Errno::INTR), fails(Errno::INTR), Ok(())].into_iter();
        assert_eq!(settle(|| outcomes.next().unwrap(), Utf8Path::new("lock")).unwrap(), Attempt::Locked);
    }

    #[test]
    fn a_child_that_has_the_file_open_keeps_nobody_out() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = Utf8Path::from_path(file.path()).unwrap();
        let locked = Locked(file.reopen().unwrap());
        lock_exclusive(&locked.0, path).unwrap();
        let inherited = locked.0.try_clone().unwrap();
        assert_eq!(try_lock_exclusive(file.as_file(), path).unwrap(), Attempt::Busy);
        drop(locked);
        assert_eq!(try_lock_exclusive(file.as_file(), path).unwrap(), Attempt::Locked);
        drop(inherited);
    }

    #[test]
    fn an_exclusive_lock_keeps_others_out() {
        let directory = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(directory.path()).unwrap().join("lock");
        let open = || File::options().create(true).truncate(false).read(true).write(true).open(&path).unwrap();
        let (first, second) = (Locked(open()), open());
        lock_shared(&first.0, &path).unwrap();
        assert_eq!(try_lock_exclusive(&second, &path).unwrap(), Attempt::Busy);
        lock_exclusive(&first.0, &path).unwrap();
        drop(first);
        assert_eq!(try_lock_exclusive(&second, &path).unwrap(), Attempt::Locked);
    }
}
