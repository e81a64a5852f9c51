//! Which files are known to have which content, without reading them again.
//!
//! A file that was hashed gets a seal: what the file system says about it at that moment. Whoever writes to the file
//! later, or puts another one in its place, changes its inode, size or times, and can't set the time of the last change
//! (ctime) back. A file without a valid seal is read and hashed where it is used. So a store that was copied, or restored
//! by a CI system, is read once.
//!
//! What changes below the file system, such as a decaying disk, changes no seal, and some file systems keep no ctime.
//! `mailimg store verify`, `load` and `push` read every byte.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use camino::Utf8Path;
use serde::{Deserialize, Serialize};

use super::{Question, Store, open_verified_blob};
use crate::digest::Sha256;

/// How many files outside of the store are known for each content, such as copies in layouts on other file systems.
const MOST_COPIES: usize = 8;

/// How many files may be hashed at once.
const SLOTS: usize = 16;

/// The longest tick of the kernel's clock: within one, a file can change without another time.
const TICK: Duration = Duration::from_millis(20);

/// What the file system says about a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Seal {
    device: u64,
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
            device: found.dev(),
            inode: found.ino(),
            size: found.size(),
            written: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        }
    }

    fn is_of_same_file(self, other: Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }

    /// Whether this is `before` with another name, or a name less, but not written to.
    fn is_renamed(self, before: Self) -> bool {
        Self { changed: before.changed, ..self } == before
    }

    /// Whether the file was last changed before the current tick of the clock.
    fn is_settled(self) -> bool {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let (seconds, nanoseconds) = self.changed;
        let changed = u64::try_from(seconds).ok().zip(u32::try_from(nanoseconds).ok());
        changed.is_some_and(|(seconds, nanoseconds)| Duration::new(seconds, nanoseconds) + TICK < now)
    }
}

/// The files that have the same content.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Files {
    /// The store's own, which may have names in layouts, too.
    own: Option<Seal>,
    /// Others, the latest last.
    copies: Vec<Seal>,
}

impl Files {
    fn has(&self, seal: Seal) -> bool {
        self.own == Some(seal) || self.copies.contains(&seal)
    }

    fn add(&mut self, seal: Seal, place: Place) {
        self.copies.retain(|known| !known.is_of_same_file(seal));
        if place == Place::Own || self.own.is_some_and(|own| own.is_of_same_file(seal)) {
            self.own = Some(seal);
            return;
        }
        if self.copies.len() == MOST_COPIES {
            self.copies.remove(0);
        }
        self.copies.push(seal);
    }
}

type Known = BTreeMap<[u8; 32], Files>;

/// Asks for the seals of a store.
struct SealsOf;

impl Question for SealsOf {
    const NAME: &'static str = "seals";
    const VERSION: u32 = 2;
    type Answer = Known;

    fn subject(&self) -> Sha256 {
        Sha256::of("files whose content is known")
    }

    /// Nothing, so that they go when the store is cleaned: most would be about what has been removed.
    fn refers_to(&self, _: &Known) -> Vec<Sha256> {
        Vec::new()
    }
}

/// A file of the store, or a copy elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Own,
    Copy,
}

/// The seals of a store.
#[derive(Debug, Default)]
pub(super) struct Seals {
    known: RwLock<Known>,
    /// The content whose seals have changed since they were last remembered.
    changed: Mutex<BTreeSet<[u8; 32]>>,
    /// The files that were found to have another content, so that each is read, and named, once.
    refused: Mutex<HashSet<(Sha256, Seal)>>,
    /// Each content is hashed by one thread at a time; others that wait find out what came of it.
    slots: [Mutex<()>; SLOTS],
}

impl Seals {
    pub(super) fn load(store: &Store) -> Self {
        Self { known: RwLock::new(store.recall(&SealsOf).unwrap_or_default()), ..Self::default() }
    }

    /// Adds the file at `path`, which was hashed while it was written.
    pub(super) fn add(&self, digest: Sha256, path: &Utf8Path, place: Place) {
        if let Ok(found) = path.symlink_metadata() {
            self.insert(digest, Seal::of(&found), place);
        }
    }

    /// Adds the file at `path`, which is a new name of the store's own file at `own`, or shares its blocks: unless that one
    /// has changed meanwhile.
    pub(super) fn add_shared(&self, digest: Sha256, path: &Utf8Path, own: &Utf8Path) {
        let seal = |path: &Utf8Path| path.symlink_metadata().ok().map(|found| Seal::of(&found));
        let (Some(new), Some(now)) = (seal(path), seal(own)) else { return };
        let Some(before) = lock(self.known.read()).get(digest.as_bytes()).and_then(|files| files.own) else { return };
        let is_name = new.is_of_same_file(now) && new.is_renamed(before);
        if is_name || (now == before && new.size == before.size) {
            self.insert(digest, new, Place::Copy);
        }
    }

    fn insert(&self, digest: Sha256, seal: Seal, place: Place) {
        let mut known = lock(self.known.write());
        let files = known.entry(*digest.as_bytes()).or_default();
        if !files.has(seal) {
            files.add(seal, place);
            lock(self.changed.lock()).insert(*digest.as_bytes());
        }
    }

    fn has(&self, digest: Sha256, seal: Seal) -> bool {
        lock(self.known.read()).get(digest.as_bytes()).is_some_and(|files| files.has(seal))
    }

    fn slot(&self, digest: Sha256) -> MutexGuard<'_, ()> {
        let [first, ..] = digest.as_bytes();
        let slot = self.slots.get(usize::from(*first) % SLOTS).unwrap_or(&self.slots[0]);
        lock(slot.lock())
    }

    /// Whether the file at `path` is a regular file with the content `digest`, and of the size `expected` if that is given.
    /// What is refused is named.
    pub(super) fn is_sound(&self, digest: Sha256, expected: Option<u64>, path: &Utf8Path, place: Place) -> bool {
        let Ok(found) = path.symlink_metadata() else { return false };
        let seal = Seal::of(&found);
        if found.is_file() && expected.is_none_or(|size| size == seal.size) && self.has(digest, seal) {
            return true;
        }
        let _slot = self.slot(digest);
        if lock(self.refused.lock()).contains(&(digest, seal)) {
            return false;
        }
        let reason = match expected.filter(|size| *size != seal.size) {
            _ if !found.is_file() => "isn't a file".to_owned(),
            Some(size) => format!("has {} bytes instead of {size}", seal.size),
            None => match self.hash(digest, seal, path, place) {
                Ok(()) => return true,
                Err(error) if error.kind() == io::ErrorKind::InvalidData => "was changed by something else".to_owned(),
                Err(error) => format!("can't be read ({error})"),
            },
        };
        lock(self.refused.lock()).insert((digest, seal));
        tracing::warn!("{path} {reason}, and is not used");
        false
    }

    /// Hashes a file that had the seal `before`, unless another thread has done so meanwhile, and seals it.
    fn hash(&self, digest: Sha256, before: Seal, path: &Utf8Path, place: Place) -> io::Result<()> {
        if self.has(digest, before) {
            return Ok(());
        }
        let file = open_verified_blob(path, digest, before.size)?;
        if before.is_settled() && Seal::of(&file.metadata()?) == before {
            self.insert(digest, before, place);
        }
        Ok(())
    }

    /// Has new seals remembered, together with those that another process has added meanwhile. If two processes do so at
    /// the same moment, one's are lost, and some files are hashed again.
    pub(super) fn remember(&self, store: &Store) {
        let changed = std::mem::take(&mut *lock(self.changed.lock()));
        if changed.is_empty() {
            return;
        }
        let mut all = store.recall(&SealsOf).unwrap_or_default();
        let known = lock(self.known.read());
        all.extend(changed.iter().filter_map(|digest| Some((*digest, known.get(digest)?.clone()))));
        if let Err(error) = store.remember(&SealsOf, &all) {
            tracing::info!("what was hashed will be hashed again: {error}");
        }
    }
}

/// What is behind a lock, even if a thread that held it has panicked: each change is complete in itself.
fn lock<T>(taken: Result<T, PoisonError<T>>) -> T {
    taken.unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::fs::{FileTimes, OpenOptions};
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

    /// Waits until what was changed now would have another time if it were changed again.
    fn wait() {
        std::thread::sleep(TICK * 2);
    }

    impl Fixture {
        /// A store with one entry.
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let store = Store::open(Utf8Path::from_path(directory.path()).unwrap()).unwrap();
            let entry = store.insert(&b"content"[..], None, 100).unwrap();
            wait();
            Self { directory, store, digest: entry.digest, path: entry.path }
        }

        fn file(&self, name: &str) -> Utf8PathBuf {
            Utf8Path::from_path(self.directory.path()).unwrap().join(name)
        }

        /// Whether the file counts without being read.
        fn is_sealed(&self, path: &Utf8Path) -> bool {
            self.store.seals.has(self.digest, Seal::of(&path.symlink_metadata().unwrap()))
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
        assert!(fixture.is_sealed(&fixture.path) && fixture.is_found());
        fixture.write("c0ntent");
        assert!(!fixture.is_found(), "the times were set back");
        wait();
        fixture.write("content");
        assert!(!fixture.is_sealed(&fixture.path));
        assert!(fixture.is_found() && !fixture.is_sealed(&fixture.path), "it could change within this tick");
        wait();
        assert!(fixture.is_found() && fixture.is_sealed(&fixture.path), "read again");
        let (copy, other) = (fixture.file("copy"), fixture.file("other"));
        std::fs::copy(&fixture.path, &copy).unwrap();
        std::fs::write(&other, "another").unwrap();
        for is_link in [true, false] {
            std::fs::remove_file(&fixture.path).unwrap();
            if is_link {
                std::os::unix::fs::symlink(&copy, &fixture.path).unwrap();
            } else {
                std::fs::hard_link(&other, &fixture.path).unwrap();
            }
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
        assert!(!fixture.is_sealed(&fixture.path));
        fixture.store.note_shared(&name, fixture.digest);
        assert!(fixture.is_sealed(&fixture.path) && fixture.is_sealed(&name));
        std::fs::remove_file(&name).unwrap();
        wait();
        assert!(!fixture.is_sealed(&fixture.path) && fixture.is_found() && fixture.is_sealed(&fixture.path));
    }

    #[test]
    fn what_was_written_to_while_it_was_shared_gets_no_seal() {
        let fixture = Fixture::new();
        let [name, copy] = ["blob", "copy"].map(|name| fixture.file(name));
        std::fs::hard_link(&fixture.path, &name).unwrap();
        std::fs::set_permissions(&fixture.path, std::fs::Permissions::from_mode(0o644)).unwrap();
        std::fs::write(&fixture.path, "c0ntent").unwrap();
        std::fs::copy(&fixture.path, &copy).unwrap();
        for path in [&name, &copy] {
            fixture.store.note_shared(path, fixture.digest);
            assert!(!fixture.is_sealed(path));
        }
    }

    #[test]
    fn copies_have_seals_of_their_own() {
        let fixture = Fixture::new();
        let copies: Vec<_> = (0..=MOST_COPIES).map(|number| fixture.file(&format!("copy-{number}"))).collect();
        for copy in &copies {
            std::fs::write(copy, "content").unwrap();
        }
        wait();
        for copy in &copies {
            assert!(
                fixture.store.is_sound(copy, fixture.digest, 7) && !fixture.store.is_sound(copy, fixture.digest, 8)
            );
        }
        assert!(!fixture.is_sealed(&copies[0]), "the oldest is forgotten");
        assert!(copies[1..].iter().all(|copy| fixture.is_sealed(copy)) && fixture.is_sealed(&fixture.path));
        std::fs::write(&copies[1], "c0ntent").unwrap();
        assert!(!fixture.store.is_sound(&copies[1], fixture.digest, 7));
    }

    #[test]
    fn seals_are_remembered_with_those_of_other_processes() {
        let Fixture { directory, store, digest, path } = Fixture::new();
        let cache = Utf8Path::from_path(directory.path()).unwrap();
        let open = || Store::open(cache).unwrap();
        let other = open();
        let names = ["first", "second"].map(|name| cache.join(name));
        std::fs::hard_link(&path, &names[0]).unwrap();
        store.note_shared(&names[0], digest);
        store.remember_seals();
        // Knows nothing of that, and adds other content.
        let second = other.insert(&b"second"[..], None, 100).unwrap();
        other.remember_seals();
        let third = open();
        for (digest, path) in [(digest, &path), (second.digest, &second.path)] {
            assert!(third.seals.has(digest, Seal::of(&path.metadata().unwrap())));
        }
    }

    #[test]
    fn what_is_no_file_or_of_another_size_is_not_read() {
        let fixture = Fixture::new();
        let [fifo, huge] = ["fifo", "huge"].map(|name| fixture.file(name));
        rustix::fs::mkfifoat(rustix::fs::CWD, fifo.as_str(), rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
        std::fs::File::create(&huge).unwrap().set_len(1 << 42).unwrap();
        for path in [&*fifo, &*huge, Utf8Path::new("/dev/zero"), Utf8Path::new("/")] {
            assert!(!fixture.store.is_sound(path, fixture.digest, 7), "{path}");
        }
    }

    #[test]
    fn what_was_refused_is_not_read_again_until_it_changes() {
        let fixture = Fixture::new();
        fixture.write("c0ntent");
        wait();
        assert!(!fixture.is_found());
        let seal = Seal::of(&fixture.path.metadata().unwrap());
        assert!(fixture.store.seals.refused.lock().unwrap().contains(&(fixture.digest, seal)));
        fixture.write("content");
        assert!(fixture.is_found());
    }
}
