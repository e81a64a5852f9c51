use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use camino::Utf8Path;
use rustix::io::Errno;

use super::layout::UNFINISHED;
use crate::store::{Operation, persist};

/// Shares files without copying them, and remembers what the file systems don't support.
///
/// A reflink has its own inode, so writing to one file doesn't change the other. A hard link is the same file; nothing
/// here ever writes to one, and it is read-only.
#[derive(Debug, Default)]
pub(super) struct Sharing {
    no_reflinks: AtomicBool,
    no_hard_links: AtomicBool,
}

impl Sharing {
    /// Creates `target` as the same file as the complete file `source`. Returns false if that takes a copy. `directory`
    /// is on the target's file system, for a temporary file.
    pub(super) fn share(&self, source: &Utf8Path, target: &Utf8Path, directory: &Utf8Path) -> io::Result<bool> {
        let shared = attempt(&self.no_reflinks, Operation::Reflink, || reflink(source, target, directory))?;
        Ok(shared || attempt(&self.no_hard_links, Operation::HardLink, || std::fs::hard_link(source, target))?)
    }
}

/// Runs `way` unless it was found to be impossible. Returns whether it succeeded.
fn attempt(impossible: &AtomicBool, operation: Operation, way: impl FnOnce() -> io::Result<()>) -> io::Result<bool> {
    if impossible.load(Ordering::Relaxed) {
        return Ok(false);
    }
    match way() {
        Ok(()) => Ok(true),
        Err(error) if operation.is_unsupported(&error) => {
            // `MLINK` is about one file. Others may have more names.
            impossible.store(Errno::from_io_error(&error) != Some(Errno::MLINK), Ordering::Relaxed);
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

fn reflink(source: &Utf8Path, target: &Utf8Path, directory: &Utf8Path) -> io::Result<()> {
    let source = File::open(source)?;
    let file = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(directory)?;
    rustix::fs::ioctl_ficlone(file.as_file(), source)?;
    persist(file, target, 0o444)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    fn refuse(errno: Errno) -> impl FnOnce() -> io::Result<()> {
        move || Err(errno.into())
    }

    impl Sharing {
        /// As on a file system that makes none.
        pub(in crate::oci) fn without_reflinks() -> Self {
            Self { no_reflinks: true.into(), ..Self::default() }
        }
    }

    #[test]
    fn what_a_file_system_cannot_do_is_tried_once() {
        let impossible = AtomicBool::new(false);
        assert!(!attempt(&impossible, Operation::HardLink, refuse(Errno::MLINK)).unwrap());
        assert!(attempt(&impossible, Operation::HardLink, || Ok(())).unwrap(), "another file may have more names");
        assert!(!attempt(&impossible, Operation::HardLink, refuse(Errno::XDEV)).unwrap());
        assert!(!attempt(&impossible, Operation::HardLink, || panic!("tried again")).unwrap());
    }

    #[test]
    fn other_failures_are_told() {
        let impossible = AtomicBool::new(false);
        let error = attempt(&impossible, Operation::Reflink, refuse(Errno::NOSPC)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert!(!impossible.into_inner());
    }

    #[test]
    fn without_reflinks_it_is_the_same_file() {
        let directory = tempfile::tempdir().unwrap();
        let directory = Utf8Path::from_path(directory.path()).unwrap();
        let (source, target) = (directory.join("a"), directory.join("b"));
        std::fs::write(&source, "content").unwrap();
        assert!(Sharing::without_reflinks().share(&source, &target, directory).unwrap());
        assert_eq!(source.metadata().unwrap().ino(), target.metadata().unwrap().ino());
    }

    #[test]
    fn nothing_is_shared_between_file_systems() {
        let (disk, memory) = (tempfile::tempdir().unwrap(), tempfile::tempdir_in("/dev/shm").unwrap());
        let (disk, memory) = (Utf8Path::from_path(disk.path()).unwrap(), Utf8Path::from_path(memory.path()).unwrap());
        assert_ne!(disk.metadata().unwrap().dev(), memory.metadata().unwrap().dev(), "two file systems");
        let (source, target) = (disk.join("a"), memory.join("b"));
        std::fs::write(&source, "content").unwrap();
        assert!(!Sharing::default().share(&source, &target, memory).unwrap());
        assert_eq!(memory.read_dir_utf8().unwrap().count(), 0);
    }
}
