//! A strict unpacker of layers, in memory. It refuses whatever engines are known to treat differently.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::Path as FilePath;

use mailimg::digest::Sha256;
use serde_json::Value;

use super::archive::{Told, told};
use super::{FlatTree, Kind, Path};

const BLOCK: u64 = 512;

/// The uncompressed layers of an image in a layout, each checked against the manifest and the configuration.
pub fn layers(layout: &FilePath, image: &str) -> Vec<Vec<u8>> {
    let manifest = manifest(layout, image);
    let config: Value = serde_json::from_slice(&blob(layout, &manifest["config"])).unwrap();
    let (layers, diff_ids) = (&manifest["layers"], &config["rootfs"]["diff_ids"]);
    assert_eq!(layers.as_array().unwrap().len(), diff_ids.as_array().unwrap().len());
    let unpacked = layers.as_array().unwrap().iter().zip(diff_ids.as_array().unwrap()).map(|(layer, diff_id)| {
        assert_eq!(layer["mediaType"], "application/vnd.oci.image.layer.v1.tar+gzip");
        let mut bytes = Vec::new();
        flate2::read::MultiGzDecoder::new(blob(layout, layer).as_slice()).read_to_end(&mut bytes).unwrap();
        assert_eq!(diff_id, &Sha256::of(&bytes).to_oci());
        bytes
    });
    unpacked.collect()
}

/// Digests of an image's compressed layers.
pub fn digests(layout: &FilePath, image: &str) -> Vec<String> {
    let layers = manifest(layout, image)["layers"].take();
    layers.as_array().unwrap().iter().map(|layer| layer["digest"].as_str().unwrap().to_owned()).collect()
}

fn manifest(layout: &FilePath, image: &str) -> Value {
    let index: Value = serde_json::from_slice(&fs_err::read(layout.join("index.json")).unwrap()).unwrap();
    let is_it = |entry: &&Value| entry["annotations"]["org.opencontainers.image.ref.name"] == image;
    let entry = index["manifests"].as_array().unwrap().iter().find(is_it).unwrap();
    serde_json::from_slice(&blob(layout, entry)).unwrap()
}

/// The bytes that a descriptor points to, checked against it.
fn blob(layout: &FilePath, descriptor: &Value) -> Vec<u8> {
    let digest = descriptor["digest"].as_str().unwrap();
    let bytes = fs_err::read(layout.join("blobs").join(digest.replace(':', "/"))).unwrap();
    assert_eq!((Sha256::of(&bytes).to_oci().as_str(), descriptor["size"].as_u64()), (digest, Some(bytes.len() as u64)));
    bytes
}

/// The tree that an image's layers give, bottom to top.
pub fn unpacked(layout: &FilePath, image: &str) -> Result<FlatTree, String> {
    let mut tree = FlatTree::default();
    for (number, layer) in layers(layout, image).iter().enumerate() {
        apply(&mut tree, layer).map_err(|reason| format!("layer {number}: {reason}"))?;
    }
    Ok(tree)
}

/// Applies a layer to the tree.
pub fn apply(tree: &mut FlatTree, layer: &[u8]) -> Result<(), String> {
    let mut seen = Seen::default();
    let mut archive = tar::Archive::new(layer);
    let mut end = 0;
    for entry in archive.entries().map_err(|error| error.to_string())? {
        let mut entry = entry.map_err(|error| error.to_string())?;
        let kind = entry.header().entry_type();
        if kind.is_gnu_sparse() || kind.is_contiguous() || kind.is_pax_global_extensions() {
            return Err(format!("an entry of type {}, which engines don't know", kind.as_byte().escape_ascii()));
        }
        let takes = entry.header().entry_size().map_err(|error| error.to_string())?;
        end = entry.raw_file_position() + takes.next_multiple_of(BLOCK);
        let told = told(&mut entry).map_err(|error| error.to_string())?;
        let path = told.path.escape_ascii().to_string();
        seen.put(tree, told).map_err(|reason| format!("{path}: {reason}"))?;
    }
    let rest = &layer[usize::try_from(end).unwrap()..];
    if rest.len() < 1024 || !rest.len().is_multiple_of(512) {
        return Err(format!("{} bytes at the end, where two blocks of zeros have to be", rest.len()));
    }
    match rest.iter().position(|byte| *byte != 0) {
        Some(at) => Err(format!("something follows the end of the archive, {at} bytes behind it")),
        None => Ok(()),
    }
}

/// The entries of a layer so far.
#[derive(Default)]
struct Seen {
    /// Directories.
    directories: BTreeSet<Path>,
    /// Files, with the attributes that the archive gave them.
    files: BTreeMap<Path, super::Entry>,
    all: BTreeSet<Path>,
}

impl Seen {
    fn put(&mut self, tree: &mut FlatTree, told: Told) -> Result<(), String> {
        let Told { path, entry, hardlink } = told;
        let (parent, name) = match path.iter().rposition(|byte| *byte == b'/') {
            Some(at) => (Some(&path[..at]), &path[at + 1..]),
            None => (None, path.as_slice()),
        };
        if name.is_empty() || path.starts_with(b"/") || path.split(|byte| *byte == b'/').any(|it| it == b"..") {
            return Err("no path for a layer".to_owned());
        }
        if name.starts_with(b".wh.") {
            return Err("a whiteout: nothing in these images is there to be hidden".to_owned());
        }
        if let Some(parent) = parent.filter(|parent| !self.directories.contains(*parent)) {
            return Err(format!("{} is no directory that comes before it in this layer", parent.escape_ascii()));
        }
        if !self.all.insert(path.clone()) {
            return Err("twice in one layer".to_owned());
        }
        if let Some(target) = hardlink {
            let Some(file) = self.files.get(&target) else {
                return Err(format!("a hard link to {}, no file that comes before it", target.escape_ascii()));
            };
            // Engines give the file the attributes in the link's header. Changing the owner removes capabilities.
            let attributes = |it: &super::Entry| (it.mode, it.uid, it.gid, it.mtime, it.xattrs.clone());
            if attributes(file) != attributes(&entry) {
                return Err(format!("a hard link that says “{entry}” of “{file}”"));
            }
            self.files.insert(path.clone(), file.clone());
            tree.remove(&path);
            assert!(tree.link(path, &target));
            return Ok(());
        }
        match &entry.kind {
            Kind::Other(_) => return Err(format!("{entry}")),
            Kind::Directory => drop(self.directories.insert(path.clone())),
            Kind::File { .. } => drop(self.files.insert(path.clone(), entry.clone())),
            Kind::Symlink(_) | Kind::Fifo => {}
        }
        let stays = |there: &super::Entry| there.kind == Kind::Directory && entry.kind == Kind::Directory;
        if tree.get(&path).is_some_and(stays) {
            tree.replace(&path, entry);
        } else {
            tree.remove(&path);
            tree.insert(path, entry);
        }
        Ok(())
    }
}
