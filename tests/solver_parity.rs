//! The solver compared with Alpine's own apk, on real indexes, for worlds with a recorded answer from apk.
//!
//! `MAILIMG_ALPINE_MIRROR` names the folder of a real repository. The recordings are in folders next to it that contain
//! an index, or `main/` and `community/` with one each, and `KIND.txt.gz`: one world per line,
//! `world|name-version name-version …` in the order of installation, or `world|ERROR`.
//! `MAILIMG_SOLVER_EVERY=1` tests all of them instead of one in ten.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::explicit_write,
    clippy::print_stderr,
    missing_docs
)]

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use mailimg::apk::{Dependency, Package, index};
use mailimg::solve::{Repository, Universe, solve};

#[test]
#[ignore = "needs recordings of apk next to MAILIMG_ALPINE_MIRROR"]
fn random_worlds() {
    compare("alpine-3.20-main", "sets");
}

#[test]
#[ignore = "needs recordings of apk next to MAILIMG_ALPINE_MIRROR"]
fn every_package_alone() {
    compare("alpine-3.20-main", "names");
}

#[test]
#[ignore = "needs recordings of apk next to MAILIMG_ALPINE_MIRROR"]
fn constraints_and_conflicts_and_virtual_names() {
    compare("alpine-3.19", "plain");
}

#[test]
#[ignore = "needs recordings of apk next to MAILIMG_ALPINE_MIRROR"]
fn a_tagged_repository() {
    compare("alpine-3.19", "tag");
}

#[test]
#[ignore = "needs recordings of apk next to MAILIMG_ALPINE_MIRROR"]
fn virtual_names_in_a_tagged_repository() {
    compare("alpine-3.19", "tag2");
}

/// Fails unless all recorded worlds of one kind give apk's answer in apk's order.
fn compare(folder: &str, kind: &str) {
    let mirror = std::env::var("MAILIMG_ALPINE_MIRROR").expect("MAILIMG_ALPINE_MIRROR names an Alpine repository");
    let folder = PathBuf::from(mirror).join("..").join(folder);
    let recording = folder.join(format!("{kind}.txt.gz"));
    if !recording.exists() {
        // Directly to standard error: the harness hides the output of tests that pass.
        writeln!(std::io::stderr(), "not run: no answers of apk in {}", recording.display()).unwrap();
        return;
    }
    let every: usize = std::env::var("MAILIMG_SOLVER_EVERY").map_or(10, |it| it.parse().unwrap());
    let every = if kind == "tag2" { 1 } else { every };
    let universe = Universe::new(repositories(&folder, kind.starts_with("tag")));
    let mut text = String::new();
    MultiGzDecoder::new(File::open(recording).unwrap()).read_to_string(&mut text).unwrap();
    let mut wrong = 0;
    let mut count = 0;
    for line in text.lines().step_by(every) {
        let (world, apk) = line.split_once('|').unwrap();
        let answer = answer(&universe, world);
        count += 1;
        if answer != apk.trim() {
            wrong += 1;
            eprintln!("world: {world}\n  apk:     {apk}\n  mailimg: {answer}");
        }
    }
    eprintln!("{}: {wrong} of {count} differ", folder.display());
    assert!(count > 0 && wrong == 0);
}

fn answer(universe: &Universe, world: &str) -> String {
    match solve(universe, &Dependency::parse_list(world).unwrap(), "x86_64") {
        Ok(plan) => {
            let steps = plan.steps.iter().map(|it| format!("{}-{}", it.package.name, it.package.version));
            steps.collect::<Vec<_>>().join(" ")
        }
        Err(_) => "ERROR".to_owned(),
    }
}

fn repositories(folder: &Path, tagged: bool) -> Vec<Repository> {
    let parts = [(".", None), ("main", None), ("community", tagged.then(|| "c".to_owned()))];
    let path = |part: &str| folder.join(part).join("APKINDEX.tar.gz");
    let there = parts.into_iter().filter(|(part, _)| path(part).exists());
    there.map(|(part, tag)| Repository { tag, packages: read_index(&path(part)), ..Repository::default() }).collect()
}

/// The packages of an index. Its signature does not matter here.
fn read_index(path: &Path) -> Vec<Package> {
    let mut archive = tar::Archive::new(MultiGzDecoder::new(File::open(path).unwrap()));
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        if entry.path().unwrap().as_ref() == Path::new("APKINDEX") {
            let mut text = Vec::new();
            entry.read_to_end(&mut text).unwrap();
            return index::parse(&text).packages;
        }
    }
    panic!("{} has no APKINDEX", path.display());
}
