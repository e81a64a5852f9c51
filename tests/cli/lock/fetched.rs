//! What a build gets from a lock: the packages, checked.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use mailimg::digest::{Hashing, Sha256};
use mailimg::fetch::{Client, Settings, Silent};
use mailimg::lock::{Lock, LockError, Obtained, Sources, Surroundings, obtain};
use mailimg::store::Store;

use super::Site;

/// A lock's packages, from its own repository, into a store in `cache`: SHA-256 of each one's data member.
fn get(lock: &Lock, cache: &Utf8Path, offline: bool) -> Result<Vec<Sha256>, LockError> {
    let store = Store::open(cache).unwrap();
    let client = Client::new(store, Settings { offline, ..Settings::default() }).unwrap();
    let surroundings = Surroundings { base: cache, cache, overrides: &BTreeMap::default() };
    let sources = Sources::of_lock(lock, surroundings).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let obtained = runtime.block_on(obtain(lock, &sources, &client, &Silent))?;
    let data = |obtained: &Obtained<'_>| {
        let mut content = Hashing::new(obtained.data()?);
        std::io::copy(&mut content, &mut std::io::sink()).unwrap();
        Ok(content.finish().0)
    };
    obtained.iter().map(data).collect()
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
    assert!(error.ends_with("x86_64/libc-1.2.5-r0.apk is not in the store"), "{error}");
    let data = get(&lock, &cache, false).unwrap();
    assert_eq!(data, lock.packages.iter().map(|package| package.data.sha256).collect::<Vec<_>>());
    let before = site.server.requests().len();
    assert_eq!(get(&lock, &cache, true).unwrap(), data);
    assert_eq!(site.server.requests().len(), before);
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
    let file = edit(&format!("  sha256 {}", package.sha256));
    assert!(file.contains("web-1.0-r0.apk has SHA-256"), "{file}");
    for line in [
        format!("  data {} {} {}", package.data.offset, package.data.size, package.data.sha256),
        format!("  control {} {} {}", package.control.offset, package.control.size, package.control.sha256),
        format!("  diff-id {}", package.diff_id),
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
    assert_eq!(fs_err::read_dir(cache.join("files-v1/tmp")).unwrap().count(), 0);
}
