//! The merged tree against what Alpine's own apk leaves on disk, for worlds of real packages whose trees have been
//! recorded.
//!
//! The folder named by `MAILIMG_ALPINE_MIRROR` is a real repository; recordings are looked for in `trees/` of it or of
//! its neighbours: `worlds.txt` (name, tab, packages), `NAME.noscripts.tsv.gz` and `NAME.installed.gz`.

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
use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use mailimg::apk::Dependency;
use mailimg::apk::index::Index;
use mailimg::apk::package::PackageReader;
use mailimg::digest::Sha256;
use mailimg::layer;
use mailimg::rootfs::{ApkState, Content, Node, NodeKind, PackageFiles, Tree, TreePath, as_installed};
use mailimg::solve::{Repository, Universe, solve};

#[test]
#[ignore = "needs recordings of apk beside MAILIMG_ALPINE_MIRROR"]
fn trees_are_as_apk_leaves_them() {
    let mirror = std::env::var("MAILIMG_ALPINE_MIRROR").expect("MAILIMG_ALPINE_MIRROR names an Alpine repository");
    let folders = recordings(Path::new(&mirror));
    if folders.is_empty() {
        // Straight to standard error: the harness would hide it with the output of tests that pass.
        writeln!(std::io::stderr(), "not run: no recorded trees beside {mirror}").unwrap();
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
#[ignore = "needs recordings of apk beside MAILIMG_ALPINE_MIRROR"]
fn layers_one_over_the_other_hold_the_tree() {
    let mirror = std::env::var("MAILIMG_ALPINE_MIRROR").expect("MAILIMG_ALPINE_MIRROR names an Alpine repository");
    for folder in recordings(Path::new(&mirror)) {
        for line in fs::read_to_string(folder.join("trees/worlds.txt")).unwrap().lines() {
            let (name, world) = line.split_once('\t').unwrap();
            let (tree, files) = (tree(&folder, world), files(&folder, world));
            let contents = contents(&files);
            let open = |package: usize| data(&files[package]);
            let mut unpacked = BTreeMap::new();
            for plan in &layer::plan(&tree).layers {
                let mut blob = Vec::new();
                layer::write(&tree, plan, open, &mut blob).unwrap();
                let added = unpack(&blob);
                let directories = |path: &&Vec<u8>| unpacked.get(*path) != added.get(*path);
                let again: Vec<_> =
                    added.keys().filter(|path| unpacked.contains_key(*path)).filter(directories).collect();
                assert!(again.is_empty(), "{name}: a layer changes what is below it: {again:?}");
                unpacked.extend(added);
            }
            let expected: BTreeMap<_, _> =
                tree.iter().map(|(path, node)| (path.as_bytes().to_vec(), described(node, &contents))).collect();
            assert!(unpacked == expected, "{name}");
        }
    }
}

/// Mode, owner, time and content of each entry of a compressed layer; each path may be in it once.
fn unpack(blob: &[u8]) -> BTreeMap<Vec<u8>, String> {
    let mut archive = tar::Archive::new(MultiGzDecoder::new(blob));
    let mut entries: BTreeMap<Vec<u8>, String> = BTreeMap::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path_bytes().strip_suffix(b"/").map_or(entry.path_bytes().to_vec(), <[u8]>::to_vec);
        let header = entry.header().clone();
        let target = entry.link_name_bytes().map(|target| target.to_vec());
        let line = if header.entry_type().is_hard_link() {
            entries[&target.unwrap()].clone()
        } else {
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            let content = match target {
                Some(target) => String::from_utf8_lossy(&target).into_owned(),
                None if header.entry_type().is_dir() => "/".to_owned(),
                None => Sha256::of(content).to_string(),
            };
            let (mode, uid, gid) = (header.mode().unwrap(), header.uid().unwrap(), header.gid().unwrap());
            format!("{mode:o} {uid} {gid} {} {content}", header.mtime().unwrap())
        };
        assert!(entries.insert(path, line).is_none(), "a path is twice in one layer");
    }
    entries
}

/// SHA-256 of each entry's content, by package and position.
fn contents(packages: &[PathBuf]) -> Vec<Vec<Sha256>> {
    let of_package = |path: &PathBuf| {
        let mut reader = PackageReader::new(File::open(path).unwrap()).unwrap();
        let mut contents = Vec::new();
        while reader.next_entry().unwrap().is_some() {
            let mut content = Vec::new();
            reader.content().read_to_end(&mut content).unwrap();
            contents.push(Sha256::of(content));
        }
        contents
    };
    packages.iter().map(of_package).collect()
}

fn sha256(content: &Content, contents: &[Vec<Sha256>]) -> Sha256 {
    match content {
        Content::Inline(bytes) => Sha256::of(bytes),
        Content::Package(source) => contents[source.package][source.entry],
    }
}

/// A package's file, where its data member begins.
fn data(package: &Path) -> std::io::Result<File> {
    let (_, measured) = PackageFiles::read(File::open(package)?).map_err(std::io::Error::other)?;
    let mut file = File::open(package)?;
    file.seek(SeekFrom::Start(measured.data.offset))?;
    Ok(file)
}

fn described(node: &Node, contents: &[Vec<Sha256>]) -> String {
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
    let read = |path: &PathBuf| {
        let (files, _) = PackageFiles::read(BufReader::new(File::open(path).unwrap())).unwrap();
        files.listed_for("x86_64")
    };
    let packages: Vec<_> = files(folder, world).iter().map(read).collect();
    let world = Dependency::parse_list(world).unwrap();
    as_installed(&packages, &ApkState { world: &world, repositories: Vec::new(), arch: "x86_64" }, 0).unwrap()
}

/// The package files of a world, in the order in which they are installed.
fn files(folder: &Path, world: &str) -> Vec<PathBuf> {
    let index = Index::read_unverified(&fs::read(folder.join("x86_64/APKINDEX.tar.gz")).unwrap()).unwrap();
    let universe = Universe::new(vec![Repository { tag: None, packages: index.packages }]);
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

/// What differs in path, type, mode, owner, size, time of files, or content; apk's own volatile files and devices aside.
fn different_lines(folder: &Path, name: &str, tree: &Tree, contents: &[Vec<Sha256>]) -> Vec<String> {
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
