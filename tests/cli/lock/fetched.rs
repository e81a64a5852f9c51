//! A build fetches and checks the packages of a lock.

use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};
use flate2::Compression;
use flate2::write::GzEncoder;
use mailimg::digest::{Hashing, Sha256};
use mailimg::fetch::{Client, Settings};
use mailimg::lock::{Lock, LockedPackage};
use mailimg::packages::{Fetching, ObtainError, Obtained, Sources, Surroundings, obtain};
use mailimg::progress::Silent;
use mailimg::store::{self, Store};

use super::Site;
use crate::common::http::HttpServer;

/// Fetches a lock's packages from their repository into a store in `cache`. Returns the SHA-256 of each data member.
fn get(lock: &Lock, cache: &Utf8Path, offline: bool) -> Result<Vec<Sha256>, ObtainError> {
    let store = Store::open(cache).unwrap();
    let client = Client::new(store, Settings { offline, ..Settings::default() });
    let surroundings = Surroundings { base: cache, cache, overrides: &BTreeMap::default() };
    let sources = Sources::of_lock(lock, surroundings).unwrap();
    let runtime = runtime();
    let obtained = obtain(&[(lock, &sources)], Fetching { client: &client, runtime: &runtime, progress: &Silent })?;
    let data = |obtained: &Obtained<'_>| {
        let mut content = Hashing::new(obtained.data()?);
        std::io::copy(&mut content, &mut std::io::sink()).unwrap();
        Ok(content.finish().0)
    };
    obtained.iter().flatten().map(data).collect()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
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
        let runtime = runtime();
        let fetching = Fetching { client: &client, runtime: &runtime, progress: &Silent };
        let obtained = obtain(&[(&lock, &sources), (&lock, &sources)], fetching).unwrap();
        let files = obtained.iter().flatten().map(|obtained| obtained.files().unwrap());
        let files: Vec<_> = files.collect();
        assert_eq!(files[..3], files[3..]);
        files
    };
    get(&lock, &cache, false).unwrap();
    let first = files();
    assert!(first.iter().any(|files| !files.entries.is_empty()));

    // Only members are left.
    store::gc(&cache, &members(&lock)).unwrap();
    assert!(!list(&cache.join("files-v2/facts")).is_empty(), "and what is known of them");
    fs_err::remove_dir_all(cache.join("files-v2/facts")).unwrap();
    assert_eq!(files(), first);

    // Listings are damaged.
    let facts = list(&cache.join("files-v2/facts"));
    for fact in &facts {
        fs_err::remove_file(fact).unwrap();
        fs_err::write(fact, "damaged").unwrap();
    }
    assert_eq!(files(), first);
    assert!(facts.iter().all(|fact| fs_err::read(fact).unwrap() != b"damaged"), "they are repaired");
}

/// The names of a lock's packages in the store.
fn members(lock: &Lock) -> BTreeSet<Sha256> {
    let of_package = |package: &LockedPackage| {
        let members: Vec<_> = package.signatures.iter().chain([&package.control, &package.data]).copied().collect();
        members.into_iter().map(|member| member.sha256)
    };
    lock.packages.iter().flat_map(of_package).collect()
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
    assert_eq!(found, members(&lock).iter().map(ToString::to_string).collect());
}

#[test]
fn a_lock_that_does_not_match_is_refused() {
    let site = Site::new();
    let text = site.locked().to_string();
    let warm = cache(&site, "warm");
    get(&text.parse().unwrap(), &warm, false).unwrap();
    let package = site.read().package("web").unwrap().clone();
    let edit = |from: &str, cache: &Utf8Path| {
        // Change the last digit of a hash.
        let (start, last) = from.split_at(from.len() - 1);
        let to = format!("{start}{}", if last == "0" { "1" } else { "0" });
        let (others, web) = text.split_at(text.find("\npackage web\n").unwrap());
        assert!(web.contains(from), "{from}");
        let edited = format!("{others}{}", web.replacen(from, &to, 1));
        get(&edited.parse().unwrap(), cache, false).unwrap_err().to_string()
    };
    for (number, line) in [
        format!("  sha256 {}", package.sha256),
        format!("  diff-id {}", package.diff_id),
        format!("  data {} {} {}", package.data.offset, package.data.size, package.data.sha256),
        format!("  control {} {} {}", package.control.offset, package.control.size, package.control.sha256),
        format!("  unpacked {}", package.unpacked),
    ]
    .iter()
    .enumerate()
    {
        // The same error whatever the store holds, and again: a lock that was refused once isn't believed later.
        let cold = cache(&site, &format!("cold-{number}"));
        let errors = [&warm, &cold, &cold].map(|cache| edit(line, cache));
        let [error, ..] = &errors;
        assert!(error.contains("web-1.0-r0.apk doesn't match the lock"), "{line}: {error}");
        assert!(error.contains(line.trim()), "{line}: {error}");
        assert!(errors.iter().all(|other| other == error), "{errors:?}");
    }
}

#[test]
fn a_package_that_changed_upstream_is_refused() {
    let site = Site::new();
    let lock = site.locked();
    let cache = cache(&site, "empty");
    let refused = |text: &str| {
        let error = get(&lock, &cache, false).unwrap_err().to_string();
        assert!(error.contains(&format!("web-1.0-r0.apk {text}")), "{error}");
        assert_eq!(fs_err::read_dir(cache.join("files-v2/tmp")).unwrap().count(), 0);
    };
    let web = lock.package("web").unwrap();
    // In the headers of signature and control a byte says when they were made, and nothing depends on it. Then in data.
    for at in [4, web.control.offset + 4, web.size - 30] {
        let from_end = usize::try_from(web.size - at).unwrap();
        site.repository.tamper("web-1.0-r0.apk", from_end);
        refused("has SHA-256");
        site.repository.tamper("web-1.0-r0.apk", from_end);
    }
    // Bytes at the end that expand to nothing.
    let path = site.repository.file("web-1.0-r0.apk");
    let mut longer = fs_err::read(&path).unwrap();
    GzEncoder::new(&mut longer, Compression::default()).finish().unwrap();
    fs_err::write(path, longer).unwrap();
    refused("is ");
}

#[test]
fn all_packages_that_are_gone_are_named() {
    let site = Site::new();
    let lock = site.locked();
    for file in ["libc-1.2.5-r0.apk", "web-1.0-r0.apk"] {
        fs_err::remove_file(site.repository.file(file)).unwrap();
    }
    let cache = cache(&site, "empty");
    let error = get(&lock, &cache, false).unwrap_err().to_string();
    let url = site.server.url();
    let expected =
        format!("2 locked packages are not in {url}/ (the server answered 404):\n  libc 1.2.5-r0\n  web 1.0-r0");
    assert_eq!(error, expected);
    // The packages that exist were fetched anyway.
    let tool = lock.package("tool").unwrap();
    assert!(Store::open(&cache).unwrap().find_sized(&tool.data.sha256, tool.data.size).is_some());
}

#[test]
fn a_mirror_may_answer_403_for_what_is_gone() {
    let site = Site::new();
    let text = site.locked().to_string();
    let mirror = HttpServer::object_store(site.repository.path());
    let lock: Lock = text.replace(&site.server.url(), &mirror.url()).parse().unwrap();
    fs_err::remove_file(site.repository.file("web-1.0-r0.apk")).unwrap();
    let error = get(&lock, &cache(&site, "empty"), false).unwrap_err();
    let ObtainError::Gone { packages } = &error else { panic!("{error}") };
    assert_eq!(packages.len(), 1);
    let place = format!("{}/x86_64/web-1.0-r0.apk", mirror.url());
    assert_eq!(error.to_string(), format!("access to {place} is denied (the server answered 403)"));
}
