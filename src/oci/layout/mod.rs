use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicBool, Ordering};

use camino::{Utf8Path, Utf8PathBuf};
use cap_std_ext::cap_std;
use ocidir::OciDir;
use rayon::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json};

use super::image::{INDEX, MANIFEST, descriptor};
use super::images::read_limited;
use super::share::Sharing;
use super::{Document, Image, NAME, Platform};
use crate::digest::{Hashing, Sha256};
use crate::store::{
    Store, WriteError, lock_exclusive, persist, set_mode, sync_directory, sync_file, write_atomic_after,
};

/// The prefix of files in a layout's directory that are still being written.
pub(super) const UNFINISHED: &str = ".archive-";

/// An OCI image layout on disk, locked by one process at a time.
#[derive(Debug)]
pub struct Layout {
    path: Utf8PathBuf,
    sharing: Sharing,
    /// Whether a blob was added.
    is_changed: AtomicBool,
    /// The file that marks the layout, locked.
    lock: File,
}

/// Why a blob can't be added to a layout.
type Refusal = Box<dyn std::error::Error + Send + Sync>;

/// Why a layout can't be written.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// A file or directory can't be written.
    #[error("can't write to {path}")]
    Io {
        /// The file or directory.
        path: Utf8PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// A blob can't be added.
    #[error("can't write blob {digest} to {path}")]
    Blob {
        /// The layout.
        path: Utf8PathBuf,
        /// The blob.
        digest: Sha256,
        /// Why.
        #[source]
        source: Refusal,
    },
    /// The directory contains something else.
    #[error("{path} is neither empty nor an OCI layout")]
    Foreign {
        /// The directory.
        path: Utf8PathBuf,
    },
    /// Its index can't be replaced.
    #[error("can't write the layout's index")]
    Index(#[from] WriteError),
    /// Its index is malformed.
    #[error("can't read the layout's index {path}")]
    Malformed {
        /// The index.
        path: Utf8PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

impl Layout {
    /// Opens the layout at `path`, creating it if necessary. Waits while another process has it open.
    pub fn open(path: &Utf8Path) -> Result<Self, LayoutError> {
        let failed = |source| LayoutError::Io { path: path.to_owned(), source };
        std::fs::create_dir_all(path).map_err(failed)?;
        let marker = path.join("oci-layout");
        if !marker.is_file() {
            // Another process that begins the layout may have come further since: this file is its first.
            if has_other_files(path).map_err(failed)? && !marker.is_file() {
                return Err(LayoutError::Foreign { path: path.to_owned() });
            }
            create(&marker).map_err(failed)?;
        }
        let lock = lock(&marker).map_err(failed)?;
        complete(&lock).map_err(failed)?;
        let directory = cap_std::fs::Dir::open_ambient_dir(path, cap_std::ambient_authority()).map_err(failed)?;
        let other = |error: ocidir::Error| failed(io::Error::other(error));
        OciDir::ensure(directory).map_err(other)?;
        Ok(Self { path: path.to_owned(), sharing: Sharing::default(), is_changed: AtomicBool::new(false), lock })
    }

    /// Its directory.
    #[must_use]
    pub fn path(&self) -> &Utf8Path {
        &self.path
    }

    /// The path of the blob with this digest, whether it exists or not.
    #[must_use]
    pub fn blob(&self, digest: Sha256) -> Utf8PathBuf {
        blob_path(&self.path, digest)
    }

    /// Adds the blobs of images. Existing blobs are kept, unless something else has changed them. Blobs in the store are
    /// shared by reflink or hard link where the file system supports it. Layers must be in the store.
    ///
    /// The images become visible only with [`commit`](Self::commit).
    pub fn add(&self, images: &[Image], store: &Store) -> Result<(), LayoutError> {
        let layers = images.iter().flat_map(|image| &image.layers).map(|layer| (layer.digest, (layer.size, None)));
        let documents = images.iter().flat_map(|image| [&image.config, &image.manifest]);
        let documents = documents.map(|it| (it.digest, (it.bytes.len() as u64, Some(it.bytes.as_slice()))));
        let blobs: BTreeMap<Sha256, (u64, Option<&[u8]>)> = layers.chain(documents).collect();
        let added = blobs.into_par_iter().try_for_each(|(digest, (size, bytes))| {
            self.put(digest, size, bytes, store).map_err(|source| LayoutError::Blob {
                path: self.path.clone(),
                digest,
                source,
            })
        });
        store.remember_seals();
        added
    }

    /// Adds a blob, from the store or from `bytes`, unless it exists.
    fn put(&self, digest: Sha256, size: u64, bytes: Option<&[u8]>, store: &Store) -> Result<(), Refusal> {
        let path = self.blob(digest);
        if store.is_sound(&path, digest, size) {
            return Ok(());
        }
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            removed => removed?,
        }
        self.is_changed.store(true, Ordering::Relaxed);
        match (store.find_sized(&digest, size), bytes) {
            (Some(stored), _) if self.sharing.share(&stored, &path, &self.path)? => store.note_shared(&path, digest),
            (Some(stored), _) => self.copy((digest, size), File::open(stored)?, store)?,
            (None, Some(bytes)) => self.copy((digest, size), bytes, store)?,
            (None, None) => return Err("it is not in the store".into()),
        }
        Ok(())
    }

    /// Writes a blob and checks it. We don't use ocidir here, because its writer panics when the disk is full.
    fn copy(&self, (digest, size): (Sha256, u64), mut content: impl Read, store: &Store) -> Result<(), Refusal> {
        let file = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(&self.path)?;
        let mut hashing = Hashing::new(file.as_file());
        io::copy(&mut content, &mut hashing)?;
        let (found, count, _) = hashing.finish();
        if (found, count) != (digest, size) {
            return Err(format!("the content has {count} bytes and SHA-256 {found}").into());
        }
        let path = self.blob(digest);
        persist(file, &path, 0o644)?;
        store.note_copy(&path, digest);
        Ok(())
    }

    /// Makes `images` visible, all at once: replaces the index. Other images stay, of other architectures too, if
    /// `keep` holds on to their name; what has no name goes. Then removes what no image of the index needs.
    pub fn commit(&self, images: &[Image], keep: impl Fn(&str) -> bool) -> Result<(), LayoutError> {
        let path = self.path.join("index.json");
        let malformed = |source| LayoutError::Malformed { path: path.clone(), source };
        let old = self.read_index()?;
        let mut entries = entries(&old).map_err(malformed)?;
        entries.retain(|entry| {
            let is_replaced = |name| images.iter().any(|it| it.name == name && !is_for_another(entry, it.platform));
            name_of(entry).is_some_and(|name| keep(name) && !is_replaced(name))
        });
        entries.extend(images.iter().map(|image| entry(image, &[(NAME, &image.name)])));
        entries.sort_by_cached_key(|entry| (name_of(entry).map(ToOwned::to_owned), platform_of(entry)));
        let index = Document::new(&index(&entries)).map_err(malformed)?;
        if old != index.bytes {
            write_atomic_after(&path, &index.bytes, 0o644, || self.sync())?;
        } else if self.is_changed.load(Ordering::Relaxed) {
            let failed = |source| LayoutError::Io { path: self.path.clone(), source };
            self.sync().map_err(failed)?;
        }
        self.prune(images, &entries)
    }

    /// Syncs the directory of blobs, so that what an index refers to survives a crash. The blobs themselves are synced
    /// already.
    fn sync(&self) -> io::Result<()> {
        let blobs = self.path.join("blobs/sha256");
        let (marker, blobs) = rayon::join(|| sync_file(&self.lock), || sync_directory(&blobs));
        marker.and(blobs)
    }

    /// The layout's index on disk, or empty if there is none.
    fn read_index(&self) -> Result<Vec<u8>, LayoutError> {
        let path = self.path.join("index.json");
        match read_limited(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            other => other.map_err(|source| LayoutError::Io { path, source }),
        }
    }

    /// Removes what an interrupted build left behind. The layout is locked, so no other build is running.
    fn remove_leftovers(&self) -> Result<(), LayoutError> {
        let failed = |source| LayoutError::Io { path: self.path.clone(), source };
        for file in self.path.read_dir_utf8().map_err(failed)? {
            let file = file.map_err(failed)?;
            if file.file_name().starts_with(UNFINISHED) {
                std::fs::remove_file(file.path()).map_err(failed)?;
            }
        }
        Ok(())
    }

    /// Removes blobs that no image in the index needs. `images` are known.
    fn prune(&self, images: &[Image], entries: &[Value]) -> Result<(), LayoutError> {
        let mut needed = BTreeSet::new();
        for image in images {
            needed.extend([image.manifest.digest, image.config.digest]);
            needed.extend(image.layers.iter().map(|layer| layer.digest));
        }
        let is_known = |digest: &Sha256| images.iter().any(|image| image.manifest.digest == *digest);
        for digest in entries.iter().map(digest_of) {
            let Some(digest) = digest else { return Ok(()) };
            if is_known(&digest) {
                continue;
            }
            let manifest = read_limited(&self.blob(digest)).ok();
            let manifest = manifest.and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
            // An unknown kind of manifest may need any blob.
            let Some(manifest) = manifest.filter(|manifest| manifest.get("layers").is_some()) else { return Ok(()) };
            needed.insert(digest);
            needed.extend(manifest.get("config").and_then(digest_of));
            needed.extend(manifest.get("layers").and_then(Value::as_array).into_iter().flatten().filter_map(digest_of));
        }
        self.remove_leftovers()?;
        let blobs = self.path.join("blobs/sha256");
        let failed = |path: &Utf8Path, source| LayoutError::Io { path: path.to_owned(), source };
        for file in blobs.read_dir_utf8().map_err(|error| failed(&blobs, error))? {
            let file = file.map_err(|error| failed(&blobs, error))?;
            if file.file_name().parse::<Sha256>().is_ok_and(|digest| !needed.contains(&digest)) {
                std::fs::remove_file(file.path()).map_err(|error| failed(file.path(), error))?;
            }
        }
        Ok(())
    }
}

/// Whether a directory holds anything but what another process begins a layout with.
fn has_other_files(directory: &Utf8Path) -> io::Result<bool> {
    for file in directory.read_dir_utf8()? {
        let file = file?;
        if !file.file_name().starts_with(UNFINISHED) && file.file_name() != "oci-layout" {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Creates the file that marks a directory as a layout, unless another process does. It is never replaced, because
/// processes lock it: whoever has the lock [completes](complete) it.
fn create(marker: &Utf8Path) -> io::Result<()> {
    match File::options().write(true).create_new(true).open(marker) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        file => set_mode(&file?, 0o644),
    }
}

/// Writes the content of the file that marks a layout, unless it is there. It is synced with the first index.
fn complete(marker: &File) -> io::Result<()> {
    if marker.metadata()?.len() > 0 {
        return Ok(());
    }
    marker.write_all_at(br#"{"imageLayoutVersion":"1.0.0"}"#, 0)
}

/// Waits for the lock of a layout. It is not on the directory, because NFS has exclusive locks only for files open for
/// writing.
fn lock(marker: &Utf8Path) -> io::Result<File> {
    let file = match File::options().read(true).write(true).open(marker) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => File::open(marker)?,
        other => other?,
    };
    lock_exclusive(&file, marker)?;
    Ok(file)
}

/// The images in an index.
fn entries(index: &[u8]) -> Result<Vec<Value>, serde_json::Error> {
    if index.is_empty() {
        return Ok(Vec::new());
    }
    let index: Index = serde_json::from_slice(index)?;
    Ok(index.manifests)
}

/// The entries of an index, valid or not.
#[derive(Deserialize)]
struct Index {
    manifests: Vec<Value>,
}

/// An index with these manifests.
pub(super) fn index(manifests: &[Value]) -> Value {
    json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests })
}

/// An index's entry for an image.
pub(super) fn entry(image: &Image, annotations: &[(&str, &str)]) -> Value {
    let mut entry = descriptor(MANIFEST, image.manifest.digest, image.manifest.bytes.len() as u64);
    let annotations = annotations.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
    if let Some(object) = entry.as_object_mut() {
        object.insert("platform".to_owned(), image.platform.to_json());
        object.insert("annotations".to_owned(), Value::Object(annotations));
    }
    entry
}

/// The path of the blob with this digest in a layout (OCI image-spec, `image-layout.md`).
#[must_use]
pub fn blob_path(layout: &Utf8Path, digest: Sha256) -> Utf8PathBuf {
    layout.join("blobs/sha256").join(digest.to_string())
}

fn name_of(entry: &Value) -> Option<&str> {
    entry.get("annotations")?.get(NAME)?.as_str()
}

fn platform_of(entry: &Value) -> Option<Platform> {
    Platform::of_json(entry.get("platform")?)
}

/// Whether an entry says that it is for another architecture. One that says nothing could be for this one.
fn is_for_another(entry: &Value, platform: Platform) -> bool {
    platform_of(entry).is_some_and(|found| found != platform)
}

fn digest_of(descriptor: &Value) -> Option<Sha256> {
    descriptor.get("digest")?.as_str()?.strip_prefix("sha256:")?.parse().ok()
}

#[cfg(test)]
mod tests;
