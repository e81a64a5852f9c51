//! Which files are known to have which content, without reading them again.
//!
//! A file that was hashed gets a seal: what the file system says about it at that moment. Whoever writes to the file
//! later, or puts another one in its place, changes its inode, size or times, and can't set the time of the last change
//! (ctime) back. A file without a valid seal is read and hashed where it is used. So a store that was copied, or restored
//! by a CI system, is read once.
//!
//! What changes below the file system, such as a decaying disk, changes no seal. `mailimg store verify`, `load` and
//! `push` read every byte.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use camino::Utf8Path;
use serde::{Deserialize, Serialize};

use super::{Question, Store, open_blob};
use crate::digest::{Hashing, Sha256};

/// How many files of the same content are known: the store's own, and copies in layouts on other file systems.
const MOST_FILES: usize = 8;

/// How many files may be hashed at once.
const SLOTS: usize = 16;

/// What the file system says about a file. Device numbers are not part of it: they may change when the machine is started
/// again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Seal {
    inode: u64,
    size: u64,
    /// When the content was last written, in seconds and nanoseconds since 1970.
    written: (i64, i64),
    /// When anything about the file was last changed, its names and times included.
    changed: (i64, i64),
}

impl Seal {
    fn of(found: &Metadata) -> Self {
        Self {
            inode: found.ino(),
            size: found.size(),
            written: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        }
    }
}

/// The files that have each content, the latest last.
type Known = BTreeMap<Sha256, Vec<Seal>>;

/// Asks for the seals of a store.
struct SealsOf;

impl Question for SealsOf {
    const NAME: &'static str = "seals";
    const VERSION: u32 = 1;
    type Answer = Known;

    fn subject(&self) -> Sha256 {
        Sha256::of("files whose content is known")
    }

    fn refers_to(&self, _: &Known) -> Vec<Sha256> {
        Vec::new()
    }
}

/// The seals of a store.
#[derive(Debug, Default)]
pub(super) struct Seals {
    known: RwLock<Known>,
    is_changed: AtomicBool,
    /// Content is hashed by one thread at a time; the others find its seal.
    slots: [Mutex<()>; SLOTS],
}

impl Seals {
    pub(super) fn load(store: &Store) -> Self {
        Self { known: RwLock::new(store.recall(&SealsOf).unwrap_or_default()), ..Self::default() }
    }

    /// Adds the file at `path`, which has just been hashed, or given another name.
    pub(super) fn add(&self, digest: Sha256, path: &Utf8Path) -> io::Result<()> {
        self.insert(digest, Seal::of(&path.symlink_metadata()?));
        Ok(())
    }

    fn insert(&self, digest: Sha256, seal: Seal) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let seals = known.entry(digest).or_default();
        if seals.contains(&seal) {
            return;
        }
        seals.retain(|known| known.inode != seal.inode);
        if seals.len() == MOST_FILES {
            seals.remove(0);
        }
        seals.push(seal);
        self.is_changed.store(true, Ordering::Relaxed);
    }

    fn has(&self, digest: Sha256, seal: Seal) -> bool {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.get(&digest).is_some_and(|seals| seals.contains(&seal))
    }

    fn slot(&self, digest: Sha256) -> MutexGuard<'_, ()> {
        let number = digest.as_bytes().first().map_or(0, |byte| usize::from(*byte) % SLOTS);
        let slot = self.slots.get(number).unwrap_or(&self.slots[0]);
        slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The size of the file at `path`, if it is a regular file with the content `digest`.
    pub(super) fn size_of_sound(&self, digest: Sha256, path: &Utf8Path) -> Option<u64> {
        // A link isn't ours: it could lead anywhere.
        let found = path.symlink_metadata().ok().filter(Metadata::is_file)?;
        if self.has(digest, Seal::of(&found)) {
            return Some(found.size());
        }
        let _slot = self.slot(digest);
        match self.size_if_hashed_to(digest, path) {
            Ok(None) => {
                tracing::warn!("{path} was changed by something else, and is not used");
                None
            }
            Ok(size) => size,
            Err(error) => {
                tracing::warn!("{path} can't be read, and is not used: {error}");
                None
            }
        }
    }

    /// Hashes a file, unless another thread has done so, and seals it.
    fn size_if_hashed_to(&self, digest: Sha256, path: &Utf8Path) -> io::Result<Option<u64>> {
        let file = open_blob(path)?;
        let seal = Seal::of(&file.metadata()?);
        if self.has(digest, seal) {
            return Ok(Some(seal.size));
        }
        let mut hashing = Hashing::new(file);
        io::copy(&mut hashing, &mut io::sink())?;
        let (found, size, _) = hashing.finish();
        if found != digest {
            return Ok(None);
        }
        // Taken before the file was read: a change meanwhile is noticed next time.
        self.insert(digest, seal);
        Ok(Some(size))
    }

    /// Has new seals remembered, together with those that another process has added meanwhile. If two processes do so at
    /// the same moment, one's are lost, and some files are hashed again.
    pub(super) fn save(&mut self, store: &Store) {
        if !*self.is_changed.get_mut() {
            return;
        }
        let mut all = store.recall(&SealsOf).unwrap_or_default();
        all.append(self.known.get_mut().unwrap_or_else(PoisonError::into_inner));
        if let Err(error) = store.remember(&SealsOf, &all) {
            tracing::info!("what was hashed will be hashed again: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{File, FileTimes, OpenOptions};
    use std::io::Write as _;
    use std::os::unix::fs::PermissionsExt as _;

    use camino::Utf8PathBuf;

    use super::*;

    struct Fixture {
        directory: tempfile::TempDir,
        store: Store,
        digest: Sha256,
        path: Utf8PathBuf,
    }

    impl Fixture {
        /// A store with one entry.
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let store = Store::open(Utf8Path::from_path(directory.path()).unwrap()).unwrap();
            let entry = store.insert(&b"content"[..], None, 100).unwrap();
            // The clock of a file system has ticks of some milliseconds.
            std::thread::sleep(std::time::Duration::from_millis(20));
            Self { directory, store, digest: entry.digest, path: entry.path }
        }

        fn file(&self, name: &str) -> Utf8PathBuf {
            Utf8Path::from_path(self.directory.path()).unwrap().join(name)
        }

        /// Whether the entry counts without being read.
        fn is_sealed(&self) -> bool {
            self.store.seals.has(self.digest, Seal::of(&self.path.symlink_metadata().unwrap()))
        }

        fn is_found(&self) -> bool {
            self.store.find_sized(&self.digest, 7).is_some()
        }

        /// Writes to the entry, and sets its times back.
        fn write(&self, content: &str) {
            let before = self.path.metadata().unwrap();
            std::fs::set_permissions(&self.path, std::fs::Permissions::from_mode(0o644)).unwrap();
            let mut file = OpenOptions::new().write(true).open(&self.path).unwrap();
            file.write_all(content.as_bytes()).unwrap();
            let times = FileTimes::new().set_modified(before.modified().unwrap());
            file.set_times(times.set_accessed(before.accessed().unwrap())).unwrap();
            std::fs::set_permissions(&self.path, before.permissions()).unwrap();
        }
    }

    #[test]
    fn what_was_written_to_replaced_or_linked_elsewhere_is_found() {
        let fixture = Fixture::new();
        assert!(fixture.is_sealed() && fixture.is_found());
        fixture.write("c0ntent");
        assert!(!fixture.is_found(), "the times were set back");
        fixture.write("content");
        assert!(!fixture.is_sealed());
        assert!(fixture.is_found() && fixture.is_sealed(), "read again");
        let (copy, other) = (fixture.file("copy"), fixture.file("other"));
        std::fs::copy(&fixture.path, &copy).unwrap();
        std::fs::write(&other, "another").unwrap();
        for replace in
            [|from, to| std::fs::hard_link(from, to), std::os::unix::fs::symlink::<&Utf8PathBuf, &Utf8PathBuf>]
        {
            std::fs::remove_file(&fixture.path).unwrap();
            replace(&other, &fixture.path).unwrap();
            assert!(!fixture.is_found());
        }
        std::fs::remove_file(&fixture.path).unwrap();
        assert!(!fixture.is_found(), "missing");
        std::fs::rename(&copy, &fixture.path).unwrap();
        assert!(fixture.is_found(), "the same content");
        assert_eq!(fixture.store.find_sized(&fixture.digest, 8), None);
    }

    #[test]
    fn a_name_in_a_layout_is_no_reason_to_read_again() {
        let fixture = Fixture::new();
        let name = fixture.file("blob");
        std::fs::hard_link(&fixture.path, &name).unwrap();
        assert!(!fixture.is_sealed());
        fixture.store.note(&name, fixture.digest).unwrap();
        assert!(fixture.is_sealed());
        std::fs::remove_file(&name).unwrap();
        assert!(!fixture.is_sealed() && fixture.is_found() && fixture.is_sealed());
    }

    #[test]
    fn copies_have_seals_of_their_own() {
        let fixture = Fixture::new();
        let copies: Vec<_> = (1..MOST_FILES).map(|number| fixture.file(&format!("copy-{number}"))).collect();
        for copy in &copies {
            std::fs::write(copy, "content").unwrap();
            assert!(
                fixture.store.is_sound(copy, fixture.digest, 7) && !fixture.store.is_sound(copy, fixture.digest, 8)
            );
        }
        assert!(fixture.is_sealed());
        std::fs::write(&copies[0], "c0ntent").unwrap();
        assert!(!fixture.store.is_sound(&copies[0], fixture.digest, 7));
        fixture.store.note(&fixture.path, fixture.digest).unwrap();
        std::fs::write(fixture.file("one more"), "content").unwrap();
        assert!(fixture.store.is_sound(&fixture.file("one more"), fixture.digest, 7));
        let known = fixture.store.seals.known.read().unwrap();
        assert_eq!(known[&fixture.digest].len(), MOST_FILES, "the oldest is forgotten");
    }

    #[test]
    fn seals_are_remembered_with_those_of_other_processes() {
        let Fixture { directory, store, digest, path } = Fixture::new();
        let other = Store::open(Utf8Path::from_path(directory.path()).unwrap()).unwrap();
        let second = other.insert(&b"second"[..], None, 100).unwrap();
        drop((store, other));
        let store = Store::open(Utf8Path::from_path(directory.path()).unwrap()).unwrap();
        for (digest, path) in [(digest, path), (second.digest, second.path)] {
            assert!(store.seals.has(digest, Seal::of(&path.metadata().unwrap())));
        }
        assert!(!store.seals.is_changed.load(Ordering::Relaxed));
    }

    #[test]
    fn what_is_no_file_is_not_opened() {
        let fixture = Fixture::new();
        let fifo = fixture.file("fifo");
        rustix::fs::mkfifoat(rustix::fs::CWD, fifo.as_str(), rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
        for path in [&*fifo, Utf8Path::new("/dev/zero"), Utf8Path::new("/")] {
            assert!(!fixture.store.is_sound(path, fixture.digest, 7), "{path}");
        }
    }

    #[test]
    fn many_threads_read_a_file_once() {
        let fixture = Fixture::new();
        File::open(&fixture.path).unwrap().set_permissions(std::fs::Permissions::from_mode(0o400)).unwrap();
        assert!(!fixture.is_sealed());
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| assert!(fixture.is_found()));
            }
        });
        assert!(fixture.is_sealed());
    }
}
