//! The tree that the product merges in memory, with contents read from the packages.

use std::collections::{BTreeMap, HashMap};
use std::io::BufReader;

use camino::{Utf8Path, Utf8PathBuf};
use mailimg::build::{self, Inputs, Options, Plan};
use mailimg::config;
use mailimg::digest::Sha256;
use mailimg::fetch::{Client, Settings};
use mailimg::lock::{self, Lock};
use mailimg::packages::{Fetching, Obtained, Sources, Surroundings, obtain};
use mailimg::progress::Silent;
use mailimg::rootfs::{Content, EntryId, NodeKind, PackageId, Source, Tree};
use mailimg::store::Store;
use mailimg::table::Table;
use tar::EntryType;

use super::{Entry, FlatTree, Kind, archive};
use crate::common::project::Project;

/// The tree of each image of a project that has been built, so that its packages are in the store.
pub fn trees(project: &Project) -> BTreeMap<String, FlatTree> {
    let root: Utf8PathBuf = project.path().try_into().unwrap();
    let cache = Utf8Path::from_path(project.cache()).unwrap();
    let project = config::Project::open(&root).unwrap();
    let arch = project.channel().architecture(None).unwrap();
    let client = Client::new(Store::open(cache).unwrap(), Settings { offline: true, ..Settings::default() });
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut contents = Contents::default();
    let mut trees = BTreeMap::new();
    for recipe in project.recipes() {
        let lock = Lock::read(project.files(), &lock::path(&project.channel_dir(), &recipe.name, &arch)).unwrap();
        let surroundings = Surroundings { base: &root, cache, overrides: &BTreeMap::new() };
        let sources = Sources::of_lock(&lock, surroundings).unwrap();
        let fetching = Fetching { client: &client, runtime: &runtime, progress: &Silent };
        let packages = obtain(&[(&lock, &sources)], fetching).unwrap().remove(0);
        let plan = Plan::new(BTreeMap::from([(recipe.name.clone(), lock.clone())]), 2);
        let inputs = Inputs::new(&project, recipe, plan.image(&recipe.name).unwrap(), &Options::default()).unwrap();
        let files: Vec<_> = packages.iter().map(|package| package.files().unwrap()).collect();
        let tree = build::merged(&inputs, files).unwrap().tree;
        trees.insert(recipe.name.clone(), flat(&tree, &packages.into(), &mut contents));
    }
    trees
}

/// The packages of an image by the digests of their data members.
pub fn members(project: &Project, image: &str) -> BTreeMap<String, String> {
    let root: Utf8PathBuf = project.path().try_into().unwrap();
    let project = config::Project::open(&root).unwrap();
    let arch = project.channel().architecture(None).unwrap();
    let lock = Lock::read(project.files(), &lock::path(&project.channel_dir(), image, &arch)).unwrap();
    lock.packages.into_iter().map(|package| (package.data.sha256.to_oci(), package.name)).collect()
}

fn flat(tree: &Tree, packages: &Table<PackageId, Obtained<'_>>, contents: &mut Contents) -> FlatTree {
    let mut flat = FlatTree::default();
    let mut first_names: HashMap<Source, Vec<u8>> = HashMap::new();
    for (path, node) in tree.iter() {
        let path = path.as_bytes().to_vec();
        if let Some(source) = node.source() {
            if let Some(first) = first_names.get(&source) {
                assert!(flat.link(path, first));
                continue;
            }
            first_names.insert(source, path.clone());
        }
        let kind = match &node.kind {
            NodeKind::Directory => Kind::Directory,
            NodeKind::Symlink(target) => Kind::Symlink(target.clone()),
            NodeKind::Fifo => Kind::Fifo,
            NodeKind::File { size, content, .. } => {
                let sha256 = match content {
                    Content::Inline(bytes) => Sha256::of(bytes),
                    Content::Package(source) => contents.get(&packages[source.package])[source.entry],
                };
                Kind::File { size: *size, sha256 }
            }
        };
        let (uid, gid) = (node.uid.into(), node.gid.into());
        let (mode, mtime, xattrs) = (node.mode, node.mtime, node.xattrs.clone());
        flat.insert(path, Entry { kind, mode, uid, gid, mtime, xattrs });
    }
    flat
}

/// For each data member read so far, the SHA-256 of each entry's content. Images share packages.
#[derive(Default)]
struct Contents(HashMap<Sha256, Table<EntryId, Sha256>>);

impl Contents {
    fn get(&mut self, obtained: &Obtained<'_>) -> &Table<EntryId, Sha256> {
        self.0.entry(obtained.package.data.sha256).or_insert_with(|| read(obtained))
    }
}

fn read(obtained: &Obtained<'_>) -> Table<EntryId, Sha256> {
    let data = flate2::bufread::MultiGzDecoder::new(BufReader::with_capacity(1 << 16, obtained.data().unwrap()));
    let mut hashes = Table::new();
    for entry in tar::Archive::new(data).entries().unwrap() {
        let mut entry = entry.unwrap();
        if entry.header().entry_type() != EntryType::XGlobalHeader {
            hashes.push(match archive::told(&mut entry).unwrap().entry.kind {
                Kind::File { sha256, .. } => sha256,
                _ => Sha256::of(b""),
            });
        }
    }
    hashes
}
