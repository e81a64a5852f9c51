//! What a build gets from a lock: the packages, checked.

use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};
use mailimg::digest::{Hashing, Sha256};
use mailimg::fetch::{Client, Settings, Silent};
use mailimg::lock::{Lock, LockError, Obtained, Sources, Surroundings, obtain};
use mailimg::store::{self, Store};

use super::Site;

/// A lock's packages, from its own repository, into a store in `cache`: SHA-256 of each one's data member.
fn get(lock: &Lock, cache: &Utf8Path, offline: bool) -> Result<Vec<Sha256>, LockError> {
    let store = Store::open(cache).unwrap();
    let client = Client::new(store, Settings { offline, ..Settings::default() });
    let surroundings = Surroundings { base: cache, cache, overrides: &BTreeMap::default() };
    let sources = Sources::of_lock(lock, surroundings).unwrap();
    let obtained = obtain(&[(lock, &sources)], &client, &Silent)?;
    let data = |obtained: &Obtained<'_>| {
        let mut content = Hashing::new(obtained.data()?);
        std::io::copy(&mut content, &mut std::io::sink()).unwrap();
        Ok(content.finish().0)
    };
    obtained.iter().flatten().map(data).collect()
}

fn cache(site: &Site, name: &str) -> Utf8PathBuf {
    site.project.root().join(name).try_into().unwrap()
}

#[test]
fn packages_come_once_and_then_without_network() {
    let site = Site::new();
    let lock = site.locked();
    let cache = cache(&site, "empty");
    let error = get(&lock, &cache, true).unwrap_err().to_string();
    assert!(error.ends_with(".apk is not in the store"), "{error}");
    let data = get(&lock, &cache, false).unwrap();
    assert_eq!(data, lock.packages.iter().map(|package| package.data.sha256).collect::<Vec<_>>());
    let before = site.server.requests().len();
    assert_eq!(get(&lock, &cache, true).unwrap(), data);
    assert_eq!(site.server.requests().len(), before);
}

#[test]
fn what_was_locked_needs_no_repository() {
    let site = Site::new();
    let lock = site.locked();
    let before = site.server.requests().len();
    let cache = Utf8PathBuf::try_from(site.project.cache().to_owned()).unwrap();
    assert_eq!(get(&lock, &cache, true).unwrap().len(), 3);
    assert_eq!(site.server.requests().len(), before);
}

#[test]
fn what_is_known_of_packages_is_found_out_again() {
    let site = Site::new();
    let lock = site.locked();
    let cache = cache(&site, "empty");
    let files = || {
        let store = Store::open(&cache).unwrap();
        let client = Client::new(store, Settings { offline: true, ..Settings::default() });
        let surroundings = Surroundings { base: &cache, cache: &cache, overrides: &BTreeMap::default() };
        let sources = Sources::of_lock(&lock, surroundings).unwrap();
        let obtained = obtain(&[(&lock, &sources), (&lock, &sources)], &client, &Silent).unwrap();
        let files = obtained.iter().flatten().map(|obtained| obtained.files().unwrap());
        let files: Vec<_> = files.collect();
        assert_eq!(files[..3], files[3..]);
        files
    };
    get(&lock, &cache, false).unwrap();
    let first = files();
    assert!(first.iter().any(|files| !files.entries.is_empty()));

    // Only members are left.
    let members: BTreeSet<Sha256> = lock
        .packages
        .iter()
        .flat_map(|package| package.signatures.iter().chain([&package.control, &package.data]))
        .map(|member| member.sha256)
        .collect();
    store::gc(&cache, &members).unwrap();
    assert_eq!(files(), first);

    // Listings are damaged.
    for fact in list(&cache.join("files-v2/facts")) {
        fs_err::remove_file(&fact).unwrap();
        fs_err::write(&fact, "damaged").unwrap();
    }
    assert_eq!(files(), first);
    assert_eq!(files(), first);
}

fn list(directory: &Utf8Path) -> Vec<Utf8PathBuf> {
    directory.read_dir_utf8().unwrap().map(|entry| entry.unwrap().path().to_owned()).collect()
}

#[test]
fn nothing_is_in_the_store_twice() {
    let site = Site::new();
    let lock = site.locked();
    let cache = cache(&site, "empty");
    get(&lock, &cache, false).unwrap();
    let found: BTreeSet<String> =
        list(&cache.join("files-v2/sha256")).iter().map(|path| path.file_name().unwrap().to_owned()).collect();
    for package in &lock.packages {
        assert!(!found.contains(&package.sha256.to_string()), "the whole file");
        for member in package.signatures.iter().chain([&package.control, &package.data]) {
            assert!(found.contains(&member.sha256.to_string()));
        }
    }
}

#[test]
fn a_lock_that_does_not_match_is_refused() {
    let site = Site::new();
    let text = site.locked().to_string();
    let cache = cache(&site, "empty");
    get(&text.parse().unwrap(), &cache, false).unwrap();
    let package = site.read().package("web").unwrap().clone();
    let edit = |from: &str| {
        // The last digit of a hash, changed.
        let (start, last) = from.split_at(from.len() - 1);
        let to = format!("{start}{}", if last == "0" { "1" } else { "0" });
        assert!(text.contains(from), "{from}");
        get(&text.replace(from, &to).parse().unwrap(), &cache, false).unwrap_err().to_string()
    };
    for line in [
        format!("  sha256 {}", package.sha256),
        format!("  diff-id {}", package.diff_id),
        format!("  data {} {} {}", package.data.offset, package.data.size, package.data.sha256),
        format!("  control {} {} {}", package.control.offset, package.control.size, package.control.sha256),
        format!("  unpacked {}", package.unpacked),
    ] {
        let error = edit(&line);
        assert!(error.contains("is not as the lock says"), "{line}: {error}");
        assert!(error.contains(line.trim()), "{line}: {error}");
    }
}

#[test]
fn a_package_that_changed_upstream_is_refused() {
    let site = Site::new();
    let lock = site.locked();
    site.repository.tamper("web-1.0-r0.apk", 30);
    let cache = cache(&site, "empty");
    let error = get(&lock, &cache, false).unwrap_err().to_string();
    assert!(error.contains("web-1.0-r0.apk has SHA-256"), "{error}");
    assert_eq!(fs_err::read_dir(cache.join("files-v2/tmp")).unwrap().count(), 0);
}
