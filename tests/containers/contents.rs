//! The content of a running container, compared with its package database.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::process::{Command, Stdio};

use base64::Engine as _;
use camino::Utf8Path;
use mailimg::config;
use sha1::{Digest as _, Sha1};

use crate::common::engine;
use crate::stack::{self, SERVICES, Stack};

#[test]
fn postfix_queue_programs_are_setgid() {
    let stack = stack::shared();
    let container = stack.container("postfix");
    let (_, found) =
        engine::exec(&container, &["stat", "-c", "%a %U:%G %n", "/usr/sbin/postdrop", "/usr/sbin/postqueue"]);
    assert_eq!(found, "2755 root:postdrop /usr/sbin/postdrop\n2755 root:postdrop /usr/sbin/postqueue\n");
}

#[test]
fn postfix_finds_nothing_wrong_with_its_directories() {
    let stack = stack::shared();
    let (succeeded, said) = engine::exec(&stack.container("postfix"), &["postfix", "check"]);
    assert!(succeeded && said.is_empty(), "{said}");
}

#[test]
fn every_file_is_what_the_package_database_says() {
    let stack = stack::shared();
    for service in SERVICES {
        let found = Container::export(&stack.container(service));
        let (expected, packages) = database(&found.database);
        assert!(packages > 10 && expected.len() > 100, "{service}: {packages} packages, {} paths", expected.len());
        let excepted = exceptions(&stack, service);
        let mut differences = Vec::new();
        for (path, wanted) in &expected {
            let below_mount = excepted.mounts.iter().any(|mount| is_below(path, mount));
            if below_mount || excepted.baked.contains(path) {
                continue;
            }
            let found = found.entries.get(path);
            if found != Some(wanted) {
                differences.push(format!("{path}: {wanted:?} in the database, {found:?} in the container"));
            }
        }
        assert!(differences.is_empty(), "{service}:\n{}", differences.join("\n"));
    }
}

/// The facts about a path that both sides know. Paths don't start with a slash.
#[derive(Debug, PartialEq, Eq)]
struct Entry {
    mode: u32,
    uid: u64,
    gid: u64,
    /// The checksum of a file's content or a link's target; none for a directory.
    sha1: Option<String>,
}

struct Container {
    entries: BTreeMap<String, Entry>,
    database: String,
}

impl Container {
    /// Reads a container's own files, without mounts.
    fn export(id: &str) -> Self {
        let mut export =
            Command::new("docker").args(["export", id]).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut archive = tar::Archive::new(export.stdout.take().unwrap());
        let (mut entries, mut database) = (BTreeMap::new(), String::new());
        let mut hardlinks = Vec::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let path = entry.path().unwrap().to_str().unwrap().trim_end_matches('/').to_owned();
            let header = entry.header().clone();
            if header.entry_type().is_hard_link() {
                let target = entry.link_name().unwrap().unwrap().to_str().unwrap().to_owned();
                hardlinks.push((path, target));
                continue;
            }
            let sha1 = if header.entry_type().is_symlink() {
                Some(q1(&entry.link_name_bytes().unwrap()))
            } else if header.entry_type().is_file() {
                let mut bytes = Vec::new();
                entry.read_to_end(&mut bytes).unwrap();
                let sum = q1(&bytes);
                if path.ends_with("lib/apk/db/installed") {
                    database = String::from_utf8(bytes).unwrap();
                }
                Some(sum)
            } else {
                None
            };
            let mode = if header.entry_type().is_symlink() { 0o777 } else { header.mode().unwrap() & 0o7777 };
            entries.insert(path, Entry { mode, uid: header.uid().unwrap(), gid: header.gid().unwrap(), sha1 });
        }
        for (path, target) in hardlinks {
            let Entry { mode, uid, gid, sha1 } = &entries[&target];
            let entry = Entry { mode: *mode, uid: *uid, gid: *gid, sha1: sha1.clone() };
            entries.insert(path, entry);
        }
        assert!(export.wait().unwrap().success());
        Self { entries, database }
    }
}

/// apk's notation of a SHA-1.
fn q1(bytes: &[u8]) -> String {
    format!("Q1{}", base64::engine::general_purpose::STANDARD.encode(Sha1::digest(bytes)))
}

/// The paths of `/lib/apk/db/installed`, and the number of packages. Format: apk-db(5), `F:` directory, `M:` its owner
/// and mode, `R:` file, `a:` its owner and mode, `Z:` its checksum; root's 0755 and 0644 are left out. A link's mode is
/// always 0777.
fn database(text: &str) -> (BTreeMap<String, Entry>, usize) {
    let mut entries = BTreeMap::new();
    let (mut directory, mut file) = (String::new(), String::new());
    let attributes = |value: &str| {
        let mut parts = value.split(':');
        let mut number = |radix| u64::from_str_radix(parts.next().unwrap(), radix).unwrap();
        (number(10), number(10), u32::try_from(number(8)).unwrap())
    };
    for line in text.lines() {
        let Some((key, value)) = line.split_once(':') else { continue };
        match key {
            "F" => {
                value.clone_into(&mut directory);
                entries.entry(directory.clone()).or_insert(Entry { mode: 0o755, uid: 0, gid: 0, sha1: None });
            }
            "R" => {
                file = if directory.is_empty() { value.to_owned() } else { format!("{directory}/{value}") };
                entries.insert(file.clone(), Entry { mode: 0o644, uid: 0, gid: 0, sha1: None });
            }
            "M" | "a" => {
                let (uid, gid, mode) = attributes(value);
                let entry = entries.get_mut(if key == "M" { &directory } else { &file }).unwrap();
                (entry.uid, entry.gid, entry.mode) = (uid, gid, mode);
            }
            "Z" => entries.get_mut(&file).unwrap().sha1 = Some(value.to_owned()),
            _ => {}
        }
    }
    entries.remove("");
    (entries, text.lines().filter(|line| line.starts_with("P:")).count())
}

struct Exceptions {
    mounts: Vec<String>,
    baked: BTreeSet<String>,
}

/// Paths that packages don't decide: mounts, baked files, accounts, and what the recipe sets.
fn exceptions(stack: &Stack, name: &str) -> Exceptions {
    let root = stack.project.path();
    let project = config::Project::open(Utf8Path::from_path(&root).unwrap()).unwrap();
    let recipe = project.recipe(name).unwrap();
    let service = &recipe.service;
    let mounts = service
        .volumes
        .values()
        .chain(service.mounts.values())
        .chain(service.tmpfs.keys())
        .map(|path| path.as_str().trim_start_matches('/').to_owned())
        .chain(["dev", "proc", "sys", "etc/hostname", "etc/hosts", "etc/resolv.conf"].map(str::to_owned))
        .collect();
    let baked = config::bake(&project, recipe)
        .unwrap()
        .iter()
        .map(|file| file.path.as_str())
        .chain(recipe.files.iter().map(|rule| rule.path.as_str()))
        .chain(recipe.directories.iter().map(|rule| rule.path.as_str()))
        .chain(recipe.links.iter().map(|link| link.path.as_str()))
        .chain(["/etc/passwd", "/etc/group", "/etc/shadow"])
        .map(|path| path.trim_start_matches('/').to_owned())
        .collect();
    Exceptions { mounts, baked }
}

fn is_below(path: &str, mount: &str) -> bool {
    path.strip_prefix(mount).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
