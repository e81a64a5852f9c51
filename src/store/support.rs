//! What file systems don't all support.
//!
//! Network file systems, FUSE and removable media lack one operation or another, and each says so in its own way. Work
//! goes on without what is lacking; a disk that is full or broken is still an error.

use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Once;

use camino::Utf8Path;
use rustix::fs::OFlags;
use rustix::io::Errno;
use tempfile::NamedTempFile;

/// Something that a file system may not support.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    Reflink,
    HardLink,
    Lock,
    SetMode,
    SyncFile,
    SyncDirectory,
}

impl Operation {
    /// Whether an error says that the file system, or a security module, doesn't support this.
    #[must_use]
    pub fn is_unsupported(self, error: &io::Error) -> bool {
        let Some(found) = Errno::from_io_error(error) else { return false };
        let is_usual = [Errno::NOSYS, Errno::OPNOTSUPP, Errno::INVAL].contains(&found);
        match self {
            Self::Reflink => is_usual || [Errno::NOTTY, Errno::XDEV, Errno::PERM, Errno::ACCESS].contains(&found),
            // `MLINK`: that file has the maximum number of names.
            Self::HardLink => is_usual || [Errno::XDEV, Errno::PERM, Errno::ACCESS, Errno::MLINK].contains(&found),
            Self::SetMode => is_usual || [Errno::PERM, Errno::ACCESS].contains(&found),
            Self::SyncFile => is_usual,
            // Servers and FUSE programs have many words for it. `BADF` is NFS's for a lock on a file that is open the
            // other way, and others' for syncing a directory, which can't be open for writing.
            Self::Lock => ![Errno::INTR, Errno::WOULDBLOCK].contains(&found),
            Self::SyncDirectory => ![Errno::NOSPC, Errno::DQUOT, Errno::NOENT].contains(&found),
        }
    }

    /// Turns the error of a file system that doesn't support this into success, and tells the user, the first time.
    fn tolerate(self, outcome: io::Result<()>, note: (&Once, &str)) -> io::Result<()> {
        match outcome {
            Err(error) if self.is_unsupported(&error) => {
                let (once, what) = note;
                once.call_once(|| tracing::info!("{what} ({error}): continuing"));
                Ok(())
            }
            other => other,
        }
    }
}

/// Syncs a file's content.
pub fn sync_file(file: &File) -> io::Result<()> {
    static NOTE: Once = Once::new();
    let note = (&NOTE, "files can't be synced on this file system; a crash may damage new ones");
    Operation::SyncFile.tolerate(file.sync_all(), note)
}

/// Syncs a directory, so that the names in it survive a crash. The files must be synced already.
pub fn sync_directory(directory: &Utf8Path) -> io::Result<()> {
    static NOTE: Once = Once::new();
    let note = (&NOTE, "directories can't be synced on this file system; after a crash, new files may be missing");
    Operation::SyncDirectory.tolerate(File::open(directory).and_then(|directory| directory.sync_all()), note)
}

/// Sets a file's mode. If everybody may read it, the mode is a precaution and need not be supported; otherwise it keeps
/// a secret and must be.
pub fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    static NOTE: Once = Once::new();
    let outcome = file.set_permissions(Permissions::from_mode(mode));
    if mode & 0o004 == 0 {
        return outcome;
    }
    Operation::SetMode.tolerate(outcome, (&NOTE, "modes of files can't be changed on this file system"))
}

/// Syncs a complete file and renames it to `path`, without syncing the directory.
pub fn persist(file: NamedTempFile, path: impl AsRef<Path>, mode: u32) -> io::Result<()> {
    set_mode(file.as_file(), mode)?;
    sync_file(file.as_file())?;
    file.persist(path).map(drop).map_err(|error| error.error)
}

/// For opening what somebody else may have put there: follows no link, and waits for nobody.
#[must_use]
pub fn cautious() -> OpenOptions {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let mut options = File::options();
    options.custom_flags(i32::try_from(flags.bits()).unwrap_or_default());
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Operation; 6] = [
        Operation::Reflink,
        Operation::HardLink,
        Operation::Lock,
        Operation::SetMode,
        Operation::SyncFile,
        Operation::SyncDirectory,
    ];

    /// The operations that are unsupported where this is the error.
    fn lacking(errno: Errno) -> Vec<Operation> {
        ALL.into_iter().filter(|operation| operation.is_unsupported(&errno.into())).collect()
    }

    #[test]
    fn file_systems_have_many_words_for_what_they_lack() {
        use Operation::{HardLink, Lock, Reflink, SetMode, SyncDirectory};
        for errno in [Errno::NOSYS, Errno::NOTSUP, Errno::OPNOTSUPP, Errno::INVAL] {
            assert_eq!(lacking(errno), ALL, "{errno}");
        }
        for errno in [Errno::PERM, Errno::ACCESS] {
            assert_eq!(lacking(errno), [Reflink, HardLink, Lock, SetMode, SyncDirectory], "{errno}");
        }
        assert_eq!(lacking(Errno::XDEV), [Reflink, HardLink, Lock, SyncDirectory]);
        assert_eq!(lacking(Errno::MLINK), [HardLink, Lock, SyncDirectory]);
        for errno in [Errno::IO, Errno::BADF, Errno::NOLCK] {
            assert_eq!(lacking(errno), [Lock, SyncDirectory], "{errno}");
        }
    }

    #[test]
    fn a_full_disk_and_somebody_elses_lock_are_not_that() {
        for errno in [Errno::NOSPC, Errno::DQUOT] {
            assert_eq!(lacking(errno), [Operation::Lock], "flock takes no space: {errno}");
        }
        for errno in [Errno::INTR, Errno::AGAIN] {
            assert_eq!(lacking(errno), [Operation::SyncDirectory], "{errno}");
        }
        assert!(!Operation::Lock.is_unsupported(&io::Error::other("made up")), "not the system's");
    }

    /// Linux syncs nothing in /proc, and lets nobody change a mode there.
    #[test]
    fn work_goes_on_on_a_file_system_that_lacks_it() {
        let file = File::open("/proc/self/status").unwrap();
        assert!(file.sync_all().is_err() && File::open("/proc").unwrap().sync_all().is_err());
        sync_file(&file).unwrap();
        sync_directory(Utf8Path::new("/proc")).unwrap();
        assert!(file.set_permissions(Permissions::from_mode(0o444)).is_err());
        set_mode(&file, 0o444).unwrap();
        for secret in [0o400, 0o600, 0o640] {
            set_mode(&file, secret).unwrap_err();
        }
    }

    #[test]
    fn a_directory_that_is_gone_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let gone = Utf8Path::from_path(directory.path()).unwrap().join("gone");
        assert_eq!(sync_directory(&gone).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
