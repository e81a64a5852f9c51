use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;

use super::*;

struct Cache {
    _keep: tempfile::TempDir,
    path: Utf8PathBuf,
}

fn cache() -> Cache {
    let keep = tempfile::tempdir().unwrap();
    let path = Utf8PathBuf::try_from(keep.path().to_owned()).unwrap();
    Cache { _keep: keep, path }
}

fn temporary_files(cache: &Cache) -> usize {
    cache.path.join(BUCKET).join("tmp").read_dir_utf8().unwrap().count()
}

/// Asks for the number of bytes in this content.
struct LengthOf(Sha256);

impl Question for LengthOf {
    const NAME: &'static str = "length";
    const VERSION: u32 = 3;
    type Answer = u64;

    fn subject(&self) -> Sha256 {
        self.0
    }

    fn refers_to(&self, _: &u64) -> Vec<Sha256> {
        vec![self.0]
    }
}

/// The one fact that there is.
fn fact_of(cache: &Cache) -> Utf8PathBuf {
    let mut facts = cache.path.join(BUCKET).join("facts").read_dir_utf8().unwrap();
    let fact = facts.next().unwrap().unwrap().into_path();
    assert!(facts.next().is_none());
    fact
}

/// All files below a directory.
fn files(directory: &Utf8Path) -> BTreeSet<Utf8PathBuf> {
    let mut files = BTreeSet::new();
    for entry in directory.read_dir_utf8().unwrap() {
        let path = entry.unwrap().into_path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else {
            files.insert(path);
        }
    }
    files
}

/// Gives some bytes, then fails.
struct Broken(usize);

impl Read for Broken {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.0 == 0 {
            return Err(io::Error::other("connection lost"));
        }
        let n = self.0.min(buffer.len());
        self.0 -= n;
        Ok(n)
    }
}

#[test]
fn keeps_content_under_its_digest_read_only() {
    let cache = cache();
    let store = Store::open(&cache.path).unwrap();
    let entry = store.insert(&b"content"[..], None, 100).unwrap();
    assert_eq!((entry.digest, entry.size), (Sha256::of("content"), 7));
    assert_eq!(store.find(&entry.digest), Some(entry.path.clone()));
    assert_eq!(store.find_sized(&entry.digest, 7), Some(entry.path.clone()));
    assert_eq!(store.find_sized(&entry.digest, 8), None);
    assert_eq!(entry.path.metadata().unwrap().mode() & 0o7777, 0o444);
    let mut content = String::new();
    store.open_entry(&entry.digest).unwrap().read_to_string(&mut content).unwrap();
    assert_eq!(content, "content");
    assert_eq!(temporary_files(&cache), 0);
}

#[test]
fn keeps_nothing_of_what_it_refuses() {
    let cache = cache();
    let store = Store::open(&cache.path).unwrap();
    let wrong = store.insert(&b"content"[..], Some(Sha256::of("other")), 100).unwrap_err();
    assert!(matches!(wrong, StoreError::Digest { size: 7, .. }), "{wrong}");
    let large = store.insert(&b"content"[..], None, 6).unwrap_err();
    assert!(matches!(large, StoreError::TooLarge { limit: 6 }), "{large}");
    let broken = store.insert(Broken(1 << 20), None, 1 << 30).unwrap_err();
    assert!(matches!(broken, StoreError::Source { .. }), "{broken}");
    assert_eq!(store.find(&Sha256::of("content")), None);
    assert_eq!(temporary_files(&cache), 0);
}

#[test]
fn heals_a_damaged_entry_when_it_comes_in_again() {
    let cache = cache();
    let store = Store::open(&cache.path).unwrap();
    let entry = store.insert(&b"content"[..], None, 100).unwrap();
    std::fs::remove_file(&entry.path).unwrap();
    std::fs::write(&entry.path, "c0ntent").unwrap();
    let problem = Problem { path: entry.path.clone(), found: Some(Sha256::of("c0ntent")) };
    assert_eq!(verify(&store).unwrap(), [problem]);
    store.insert(&b"content"[..], None, 100).unwrap();
    assert_eq!(verify(&store).unwrap(), []);
}

#[test]
fn removes_leftovers_only_when_nobody_else_is_there() {
    let cache = cache();
    let first = Store::open(&cache.path).unwrap();
    let mut incoming = first.incoming(100).unwrap();
    incoming.write(b"con").unwrap();
    let second = Store::open(&cache.path).unwrap();
    assert_eq!(temporary_files(&cache), 1, "another's file is left alone");
    incoming.write(b"tent").unwrap();
    assert_eq!(incoming.finish(None).unwrap().digest, Sha256::of("content"));
    drop((first, second));

    let leftover = cache.path.join(BUCKET).join("tmp/left-by-kill-9");
    std::fs::write(&leftover, "half").unwrap();
    let store = Store::open(&cache.path).unwrap();
    assert!(store.find(&Sha256::of("content")).is_some());
    assert_eq!(temporary_files(&cache), 0);
}

#[test]
fn collects_what_is_not_kept_unless_in_use() {
    let cache = cache();
    let store = Store::open(&cache.path).unwrap();
    let kept = store.insert(&b"kept"[..], None, 100).unwrap();
    store.insert(&b"not kept"[..], None, 100).unwrap();
    for digest in [kept.digest, Sha256::of("not kept")] {
        assert_eq!(store.recall(&LengthOf(digest)), None);
        store.remember(&LengthOf(digest), &8).unwrap();
        assert_eq!(store.recall(&LengthOf(digest)), Some(8));
    }
    let keep = BTreeSet::from([kept.digest]);
    assert!(matches!(gc(&cache.path, &keep), Err(StoreError::Busy { .. })));
    drop(store);
    assert_eq!(gc(&cache.path, &keep).unwrap(), Removed { entries: 1, bytes: 8 });
    let store = Store::open(&cache.path).unwrap();
    assert!(store.find(&kept.digest).is_some());
    assert!(store.find(&Sha256::of("not kept")).is_none());
    assert_eq!(store.recall(&LengthOf(kept.digest)), Some(8));
    assert_eq!(store.recall(&LengthOf(Sha256::of("not kept"))), None);
}

#[test]
fn remembers_answers_and_believes_no_damaged_one() {
    let cache = cache();
    let store = Store::open(&cache.path).unwrap();
    let (question, other) = (LengthOf(Sha256::of("this")), LengthOf(Sha256::of("that")));
    assert!(!store.remembers(&question));
    store.remember(&question, &1).unwrap();
    store.remember(&question, &2).unwrap();
    assert_eq!(store.recall(&question), Some(2));
    let fact = fact_of(&cache);
    let whole = std::fs::read(&fact).unwrap();
    let put = |path: &Utf8Path, bytes: &[u8]| {
        let _ = std::fs::remove_file(path);
        std::fs::write(path, bytes).unwrap();
    };
    for length in 0..whole.len() {
        put(&fact, &whole[..length]);
        assert_eq!(store.recall(&question), None, "{length} bytes");
        assert_eq!(facts::about(&fact), None, "{length} bytes");
    }
    put(&fact, &vec![0; whole.len()]);
    assert_eq!(store.recall(&question), None);
    std::fs::remove_file(&fact).unwrap();
    store.remember(&other, &2).unwrap();
    std::fs::write(&fact, std::fs::read(fact_of(&cache)).unwrap()).unwrap();
    assert_eq!(store.recall(&question), None, "the answer to another question");
    store.remember(&question, &2).unwrap();
    assert_eq!(store.recall(&question), Some(2));
    assert_eq!(temporary_files(&cache), 0);
}

#[test]
fn a_fact_says_what_was_asked_and_what_the_answer_refers_to() {
    let cache = cache();
    let store = Store::open(&cache.path).unwrap();
    store.remember(&LengthOf(Sha256::of("this")), &4).unwrap();
    let expected = Fact { name: "length".to_owned(), version: 3, refers_to: vec![Sha256::of("this")] };
    assert_eq!(facts::about(&fact_of(&cache)), Some(expected));
}

#[test]
fn questions_of_another_name_or_version_have_answers_of_their_own() {
    struct OlderLengthOf(Sha256);
    impl Question for OlderLengthOf {
        const NAME: &'static str = "length";
        const VERSION: u32 = 2;
        type Answer = String;
        fn subject(&self) -> Sha256 {
            self.0
        }
        fn refers_to(&self, _: &String) -> Vec<Sha256> {
            Vec::new()
        }
    }
    let cache = cache();
    let store = Store::open(&cache.path).unwrap();
    let digest = Sha256::of("this");
    store.remember(&OlderLengthOf(digest), &"four".to_owned()).unwrap();
    assert_eq!(store.recall(&LengthOf(digest)), None);
    store.remember(&LengthOf(digest), &4).unwrap();
    assert_eq!(store.recall(&OlderLengthOf(digest)).as_deref(), Some("four"));
}

#[test]
fn a_store_that_cannot_be_written_to_is_read_and_what_is_made_goes_with_the_process() {
    let cache = cache();
    let store = Store::open(&cache.path).unwrap();
    let old = store.insert(&b"old"[..], None, 100).unwrap();
    store.remember(&LengthOf(old.digest), &3).unwrap();
    let before = files(&cache.path);

    let store = Store { scratch: Some(Arc::new(Scratch::new(&store.bucket))), ..store };
    assert_eq!(store.find(&old.digest), Some(old.path));
    assert_eq!(store.recall(&LengthOf(old.digest)), Some(3));
    assert!(store.scratch.as_ref().unwrap().directory().is_none(), "nothing has been made");
    store.insert(&b"old"[..], None, 100).unwrap();
    let keeper = store.keeper().unwrap();
    let new = keeper.keep_bytes(b"new").unwrap();
    keeper.finish().unwrap();
    store.remember(&LengthOf(new), &3).unwrap();
    assert_eq!(store.recall(&LengthOf(new)), Some(3));
    let path = store.find_sized(&new, 3).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"new");
    assert_eq!(files(&cache.path), before);
    drop(store);
    assert!(!path.exists());
}

/// Linux lets nobody make a directory in /sys.
#[test]
fn a_store_that_cannot_be_made_goes_with_the_process() {
    let store = Store::open(Utf8Path::new("/sys/mailimg")).unwrap();
    assert_eq!(verify(&store).unwrap(), []);
    let entry = store.insert(&b"content"[..], None, 7).unwrap();
    assert_eq!(store.find(&entry.digest), Some(entry.path.clone()));
    drop(store);
    assert!(!entry.path.exists());
}

#[test]
fn takes_the_same_content_from_many_at_once() {
    let cache = cache();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let store = Store::open(&cache.path).unwrap();
                for n in 0..10_u8 {
                    store.insert(&[n; 1000][..], Some(Sha256::of([n; 1000])), 1000).unwrap();
                }
            });
        }
    });
    let store = Store::open(&cache.path).unwrap();
    assert_eq!(verify(&store).unwrap(), []);
    assert!((0..10_u8).all(|n| store.find_sized(&Sha256::of([n; 1000]), 1000).is_some()));
    assert_eq!(temporary_files(&cache), 0);
}

#[test]
fn keeps_many_at_once() {
    let cache = cache();
    let store = Store::open(&cache.path).unwrap();
    let keeper = store.keeper().unwrap();
    let contents: Vec<Vec<u8>> = (0..200_u8).map(|n| vec![n; 1000]).collect();
    std::thread::scope(|scope| {
        for part in contents.chunks(50) {
            let (store, keeper) = (&store, &keeper);
            scope.spawn(move || {
                for content in part {
                    let mut incoming = store.incoming(1000).unwrap();
                    incoming.write(content).unwrap();
                    keeper.keep(incoming, Some(Sha256::of(content))).unwrap();
                    keeper.keep_bytes(content).unwrap();
                }
            });
        }
    });
    let wrong = keeper.keep(store.incoming(1).unwrap(), Some(Sha256::of("other"))).unwrap_err();
    assert!(matches!(wrong, StoreError::Digest { size: 0, .. }), "{wrong}");
    keeper.finish().unwrap();
    for content in &contents {
        let digest = Sha256::of(content);
        assert_eq!(store.find_sized(&digest, 1000).unwrap().metadata().unwrap().mode() & 0o7777, 0o444);
    }
    assert_eq!(verify(&store).unwrap(), []);
    assert_eq!(temporary_files(&cache), 0);
}

#[test]
fn an_entry_that_was_changed_or_is_a_link_is_written_again() {
    let cache = cache();
    let store = Store::open(&cache.path).unwrap();
    let digest = Sha256::of("content");
    let path = store.path(&digest);
    let keep = || {
        let keeper = store.keeper().unwrap();
        keeper.keep_bytes(b"content").unwrap();
        keeper.finish().unwrap();
        assert!(path.symlink_metadata().unwrap().is_file());
        assert_eq!(std::fs::read(&path).unwrap(), b"content");
    };
    keep();
    std::fs::write(&path, "c0ntent").unwrap();
    keep();
    let elsewhere = cache.path.join("elsewhere");
    std::fs::write(&elsewhere, "content").unwrap();
    std::fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
    assert_eq!((store.find(&digest), store.find_sized(&digest, 7)), (None, None));
    keep();
    assert_eq!(std::fs::read(&elsewhere).unwrap(), b"content");
}

#[test]
fn says_what_it_could_not_keep() {
    let cache = cache();
    let store = Store::open(&cache.path).unwrap();
    let digest = Sha256::of("content");
    let path = store.path(&digest);
    std::fs::create_dir(&path).unwrap();
    let keeper = store.keeper().unwrap();
    keeper.keep_bytes(b"content").unwrap();
    let error = keeper.finish().unwrap_err().to_string();
    assert_eq!(error, format!("can't write {path}"));
    assert_eq!(temporary_files(&cache), 0);
}

#[test]
fn says_where_it_could_not_write() {
    let cache = cache();
    std::fs::write(cache.path.join("file"), "").unwrap();
    let error = Store::open(&cache.path.join("file")).unwrap_err();
    assert_eq!(error.to_string(), format!("can't make the directory {}/file/files-v2/tmp", cache.path));
}
