//! A full disk, and `kill -9` in the middle.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use mailimg::store::{Store, verify};

use super::{LOCK, Site, leftovers};
use crate::common::packages::{Made, MadeRepository, channel, key};
use crate::common::wait_for;
use crate::disk::SmallDisk;

/// Bytes that don't compress.
fn noise(size: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(size).collect()
}

fn large() -> Site {
    Site::with(&[Made::new("web", "1.0-r0").file("usr/bin/web", noise(2_000_000))])
}

#[test]
fn as_root_a_full_cache_is_told_and_nothing_is_kept_of_what_did_not_fit() {
    let site = large();
    let disk = SmallDisk::mount(site.project.root().join("disk"), "1m");
    let cache = disk.path.to_str().unwrap().to_owned();
    let files = disk.path.join("files-v2");
    site.refused(
        &["--cache-dir", &cache],
        6,
        &[
            "can't store http://",
            "can't write to",
            files.to_str().unwrap(),
            "No space left on device",
            "free some space",
        ],
    );
    assert_eq!(fs_err::read_dir(files.join("tmp")).unwrap().count(), 0);
    let store = Store::open(disk.path.as_path().try_into().unwrap()).unwrap();
    assert_eq!(verify(&store).unwrap(), []);
    drop(store);
    disk.grow("8m");
    let (code, _, error) = site.lock(&["--cache-dir", &cache]);
    assert_eq!(code, 0, "{error}");
}

#[test]
fn as_root_a_full_project_keeps_its_old_lock() {
    let site = Site::new();
    let disk = SmallDisk::mount(site.project.path().join("apk-locks/made-up"), "16k");
    site.project.write("apk-locks/made-up/channel.toml", channel(&site.server.url()));
    site.locked();
    let lock = site.project.read(LOCK);
    site.repository.publish(&super::newer_packages(), Some(key()), Some(key()));
    let filled = fs_err::write(disk.path.join("filler"), noise(100_000));
    assert!(filled.is_err());
    site.refused(&[], 6, &["can't write ", LOCK, "No space left on device", "free some space"]);
    fs_err::remove_file(disk.path.join("filler")).unwrap();
    let (code, _, error) = site.lock(&[]);
    assert_eq!(code, 0, "{error}");
    assert_ne!(site.project.read(LOCK), lock);
}

#[test]
fn a_cache_without_permission_is_told() {
    let site = Site::new();
    let file = site.project.root().join("not-a-directory");
    fs_err::write(&file, "").unwrap();
    site.refused(&["--cache-dir", file.to_str().unwrap()], 6, &["can't make the directory", file.to_str().unwrap()]);
}

/// Serves a repository, but only half of `web`, and nothing after that.
fn stalling_server(repository: &Path) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let root = repository.to_owned();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let root = root.clone();
            std::thread::spawn(move || {
                let mut request = [0; 4096];
                let size = stream.read(&mut request).unwrap();
                let request = String::from_utf8_lossy(request.get(..size).unwrap()).into_owned();
                let path = request.split(' ').nth(1).unwrap().trim_start_matches('/').to_owned();
                let bytes = fs_err::read(root.join(&path)).unwrap();
                let head = format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", bytes.len());
                stream.write_all(head.as_bytes()).unwrap();
                if path.contains("web-") {
                    stream.write_all(bytes.get(..bytes.len() / 2).unwrap()).unwrap();
                    std::thread::sleep(Duration::from_mins(1));
                } else {
                    stream.write_all(&bytes).unwrap();
                }
            });
        }
    });
    url
}

#[test]
fn kill_9_in_a_download_leaves_nothing_wrong() {
    let site = large();
    let url = stalling_server(site.repository.path());
    let mut command = Command::new(env!("CARGO_BIN_EXE_mailimg"));
    let mut child = command
        .args(["lock", "--keys-dir"])
        .arg(site.keys())
        .args(["--repository", &format!("main={url}"), "--cache-dir"])
        .arg(site.project.cache())
        .current_dir(site.project.path())
        .env_remove("http_proxy")
        .env_remove("HTTP_PROXY")
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let half_done = || {
        let temporary = fs_err::read_dir(site.project.cache().join("files-v2/tmp")).ok()?.flatten();
        let sizes: Vec<u64> = temporary.filter_map(|entry| Some(entry.metadata().ok()?.len())).collect();
        sizes.into_iter().find(|size| *size > 500_000)
    };
    wait_for("half a download", Duration::from_secs(30), half_done);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!site.lock_path().exists());
    assert_eq!(leftovers(&site.project).len(), 1, "what the killed process left");

    let lock = site.locked();
    assert_eq!(leftovers(&site.project), Vec::<PathBuf>::new());
    let store = Store::open(site.project.cache().try_into().unwrap()).unwrap();
    assert_eq!(verify(&store).unwrap(), []);
    let package = lock.package("web").unwrap();
    assert!(store.find_sized(&package.data.sha256, package.data.size).is_some());
}

#[test]
fn two_at_once_do_not_disturb_each_other() {
    let site = large();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| site.locked());
        }
    });
    assert_eq!(leftovers(&site.project), Vec::<PathBuf>::new());
    let again = MadeRepository::new(site.project.root().join("again"), &[]);
    assert!(again.index().exists());
    let store = Store::open(site.project.cache().try_into().unwrap()).unwrap();
    assert_eq!(verify(&store).unwrap(), []);
}
