//! The merged tree compared with what Alpine's own apk leaves on disk, for worlds of real packages with recorded trees.
//!
//! `MAILIMG_ALPINE_MIRROR` names the folder of a real repository. The recordings are in its folder `trees/`, or in that
//! of a folder next to it: `worlds.txt` (name, tab, packages), `NAME.noscripts.tsv.gz` and `NAME.installed.gz`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::explicit_write,
    missing_docs
)]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use mailimg::apk::Dependency;
use mailimg::apk::index::Index;
use mailimg::apk::package::PackageReader;
use mailimg::apk::tar::{Entry, EntryKind};
use mailimg::digest::Sha256;
use mailimg::layer::{Draft, DraftContent, Group, ItemContent, drafts};
use mailimg::rootfs::{
    ApkState, Content, EntryId, Merged, Node, NodeKind, PackageFiles, PackageId, Tree, TreePath, as_installed,
};
use mailimg::solve::{Repository, Universe, solve};
use mailimg::table::Table;

#[test]
#[ignore = "needs recordings of apk next to MAILIMG_ALPINE_MIRROR"]
fn trees_are_as_apk_leaves_them() {
    let mirror = std::env::var("MAILIMG_ALPINE_MIRROR").expect("MAILIMG_ALPINE_MIRROR names an Alpine repository");
    let folders = recordings(Path::new(&mirror));
    if folders.is_empty() {
        // Directly to standard error: the harness hides the output of tests that pass.
        writeln!(std::io::stderr(), "not run: no recorded trees next to {mirror}").unwrap();
    }
    for folder in folders {
        for line in fs::read_to_string(folder.join("trees/worlds.txt")).unwrap().lines() {
            let (name, world) = line.split_once('\t').unwrap();
            let tree = tree(&folder, world);
            let contents = contents(&files(&folder, world));
            assert_eq!(different_lines(&folder, name, &tree, &contents), Vec::<String>::new(), "{name}");
            let database = tree.get(&TreePath::new("lib/apk/db/installed").unwrap()).unwrap().inline().unwrap();
            let expected = unzipped(&folder.join(format!("trees/{name}.installed.gz")));
            assert_eq!(first_difference(&expected, &String::from_utf8_lossy(database)), None, "{name}");
        }
    }
}

#[test]
#[ignore = "needs recordings of apk next to MAILIMG_ALPINE_MIRROR"]
fn layers_one_over_the_other_hold_the_tree() {
    let mirror = std::env::var("MAILIMG_ALPINE_MIRROR").expect("MAILIMG_ALPINE_MIRROR names an Alpine repository");
    for folder in recordings(Path::new(&mirror)) {
        for line in fs::read_to_string(folder.join("trees/worlds.txt")).unwrap().lines() {
            let (name, world) = line.split_once('\t').unwrap();
            let merged = merged(&folder, world);
            let contents = contents(&files(&folder, world));
            let expected: BTreeMap<_, _> =
                merged.tree.iter().map(|(path, node)| (path.as_bytes().to_vec(), described(node, &contents))).collect();
            let ids = || merged.packages.ids();
            let group = |packages: Vec<PackageId>| Group { packages, images: vec![name.to_owned()] };
            let alone: Vec<Group> = ids().map(|package| group(vec![package])).collect();
            let thirds: Vec<Group> = (0..3).map(|third| group(ids().skip(third).step_by(3).collect())).collect();
            for groups in [alone, thirds, vec![group(ids().collect())]] {
                let mut unpacked = BTreeMap::new();
                for draft in &drafts(&merged, &groups).unwrap() {
                    unpacked.extend(unpack(draft, &merged, &contents));
                }
                assert!(unpacked == expected, "{name} in {} layers", groups.len());
            }
        }
    }
}

/// SHA-256 of each entry's content, by package.
type Contents = Table<PackageId, Table<EntryId, Sha256>>;

/// Mode, owner, time and content of a layer's entries; each path may occur only once.
fn unpack(draft: &Draft, merged: &Merged, contents: &Contents) -> BTreeMap<Vec<u8>, String> {
    let mut unpacked: BTreeMap<Vec<u8>, String> = BTreeMap::new();
    let mut add = |header: &Entry, content: Sha256| {
        let line = match &header.kind {
            EntryKind::Hardlink(target) => unpacked[target].clone(),
            EntryKind::Directory => line(header.mode, header, "/"),
            EntryKind::Symlink(target) => line(0o777, header, &String::from_utf8_lossy(target)),
            _ => line(header.mode, header, &content.to_string()),
        };
        let parent = header.path.iter().rposition(|&b| b == b'/').map(|slash| header.path[..slash].to_vec());
        assert!(
            parent.is_none_or(|parent| unpacked.contains_key(&parent)),
            "{} before its directory",
            header.display_path()
        );
        assert!(unpacked.insert(header.path.clone(), line).is_none(), "{} twice in one layer", header.display_path());
    };
    match &draft.content {
        DraftContent::Member(package) => {
            for (id, entry) in merged.packages[*package].files.entries.iter() {
                add(&entry.header, contents[*package][id]);
            }
        }
        DraftContent::Segments { segments, .. } => {
            for (segment, item) in
                segments.iter().flat_map(|segment| segment.items.iter().map(move |item| (segment, item)))
            {
                let content = match &item.content {
                    ItemContent::Nothing => Sha256::of(b""),
                    ItemContent::Inline(bytes) => Sha256::of(bytes),
                    ItemContent::Package(entry) => contents[segment.package.unwrap()][*entry],
                };
                add(&item.header, content);
            }
        }
    }
    unpacked
}

fn line(mode: u32, header: &Entry, content: &str) -> String {
    format!("{mode:o} {} {} {} {content}", header.uid, header.gid, header.mtime)
}

fn contents(packages: &[PathBuf]) -> Contents {
    let of_package = |path: &PathBuf| {
        let mut reader = PackageReader::new(File::open(path).unwrap()).unwrap();
        let mut contents = Table::new();
        while reader.next_entry().unwrap().is_some() {
            let mut content = Vec::new();
            reader.content().read_to_end(&mut content).unwrap();
            contents.push(Sha256::of(content));
        }
        contents
    };
    packages.iter().map(of_package).collect()
}

fn sha256(content: &Content, contents: &Contents) -> Sha256 {
    match content {
        Content::Inline(bytes) => Sha256::of(bytes),
        Content::Package(source) => contents[source.package][source.entry],
    }
}

fn described(node: &Node, contents: &Contents) -> String {
    let content = match &node.kind {
        NodeKind::Directory => "/".to_owned(),
        NodeKind::File { content, .. } => sha256(content, contents).to_string(),
        NodeKind::Symlink(target) => String::from_utf8_lossy(target).into_owned(),
        NodeKind::Fifo => Sha256::of(b"").to_string(),
    };
    format!("{:o} {} {} {} {content}", node.mode, node.uid, node.gid, node.mtime)
}

fn recordings(mirror: &Path) -> Vec<PathBuf> {
    let mut folders: Vec<_> = fs::read_dir(mirror.join("..")).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.retain(|folder| folder.join("trees/worlds.txt").exists());
    folders.sort();
    folders
}

fn tree(folder: &Path, world: &str) -> Tree {
    merged(folder, world).tree
}

fn merged(folder: &Path, world: &str) -> Merged {
    let read = |path: &PathBuf| {
        let (files, _) = PackageFiles::read(BufReader::new(File::open(path).unwrap())).unwrap();
        files.listed_for("x86_64")
    };
    let packages: Vec<_> = files(folder, world).iter().map(read).collect();
    let world = Dependency::parse_list(world).unwrap();
    let apk = ApkState { world: &world, repositories: Vec::new(), arch: "x86_64" };
    as_installed(packages, &apk, 0).unwrap()
}

/// The package files of a world, in the order in which they are installed.
fn files(folder: &Path, world: &str) -> Vec<PathBuf> {
    let index = Index::read_unverified(&fs::read(folder.join("x86_64/APKINDEX.tar.gz")).unwrap()).unwrap();
    let universe = Universe::new(vec![Repository { packages: index.packages, ..Repository::default() }]);
    let plan = solve(&universe, &Dependency::parse_list(world).unwrap(), "x86_64").unwrap();
    let file = |step: &mailimg::solve::Step<'_>| {
        folder.join(format!("x86_64/{}-{}.apk", step.package.name, step.package.version))
    };
    plan.steps.iter().map(file).collect()
}

fn unzipped(path: &Path) -> String {
    let mut bytes = Vec::new();
    MultiGzDecoder::new(File::open(path).unwrap()).read_to_end(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Differences in path, type, mode, owner, size, file time or content, except in devices and apk's own volatile files.
fn different_lines(folder: &Path, name: &str, tree: &Tree, contents: &Contents) -> Vec<String> {
    let recorded = unzipped(&folder.join(format!("trees/{name}.noscripts.tsv.gz")));
    let mut expected = BTreeMap::new();
    for line in recorded.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let [path, kind, mode, uid, gid, size, mtime, _, content] = fields[..] else { panic!("{line}") };
        let mtime = if kind == "f" { mtime } else { "-" };
        expected.insert(path.to_owned(), [kind, mode, uid, gid, size, mtime, content].join(" "));
    }
    let found: BTreeMap<_, _> = tree
        .iter()
        .map(|(path, node)| {
            let (kind, size, mtime, content) = match &node.kind {
                NodeKind::Directory => ("d", "-".to_owned(), "-".to_owned(), "-".to_owned()),
                NodeKind::File { size, content } => {
                    ("f", size.to_string(), node.mtime.to_string(), sha256(content, contents).to_string())
                }
                NodeKind::Symlink(target) => {
                    ("l", "-".to_owned(), "-".to_owned(), String::from_utf8_lossy(target).into_owned())
                }
                NodeKind::Fifo => ("p", "-".to_owned(), "-".to_owned(), "-".to_owned()),
            };
            let line = format!("{kind} {:o} {} {} {size} {mtime} {content}", node.mode, node.uid, node.gid);
            (path.to_string(), line)
        })
        .collect();
    let volatile = |path: &str| {
        let own = ["etc/apk/world", "etc/apk/arch", "etc/apk/repositories", "var/lib/apk"];
        own.contains(&path) || path.starts_with("dev/") || path.starts_with("lib/apk/")
    };
    let all = expected.keys().chain(found.keys()).filter(|path| !volatile(path));
    all.filter(|path| expected.get(*path) != found.get(*path))
        .map(|path| format!("{path}: apk {:?}, mailimg {:?}", expected.get(path), found.get(path)))
        .collect()
}

fn first_difference(expected: &str, found: &str) -> Option<(usize, String, String)> {
    let mut lines = expected.lines().zip(found.lines()).enumerate();
    let different = lines.find(|(_, (expected, found))| expected != found);
    let different = different.map(|(number, (a, b))| (number + 1, a.to_owned(), b.to_owned()));
    different.or_else(|| (expected != found).then(|| (0, "another length".to_owned(), String::new())))
}
