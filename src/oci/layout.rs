use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, Permissions};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::{AtomicBool, Ordering};

use camino::{Utf8Path, Utf8PathBuf};
use cap_std_ext::cap_std;
use ocidir::OciDir;
use rayon::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json};

use super::image::{INDEX, MANIFEST, descriptor};
use super::share::Sharing;
use super::{Document, Image, NAME, Platform};
use crate::digest::{Hashing, Sha256};
use crate::store::{Store, WriteError, lock_exclusive, write_atomic_after};

/// What the names of files in a layout's directory begin with while they are being written.
pub const UNFINISHED: &str = ".archive-";

/// An OCI image layout on disk, held by one process at a time.
#[derive(Debug)]
pub struct Layout {
    path: Utf8PathBuf,
    sharing: Sharing,
    /// Whether a blob has been put into it.
    is_changed: AtomicBool,
    _lock: File,
}

/// Why a blob can't be put into a layout.
type Refusal = Box<dyn std::error::Error + Send + Sync>;

/// Why a layout can't be written.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// A file or directory in it can't be made.
    #[error("can't write to {path}")]
    Io {
        /// The file or directory.
        path: Utf8PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// A blob can't be put into it.
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
    /// The directory holds something else.
    #[error("{path} is neither empty nor an OCI layout")]
    Foreign {
        /// The directory.
        path: Utf8PathBuf,
    },
    /// Its index can't be replaced.
    #[error("can't write the layout's index")]
    Index(#[from] WriteError),
    /// Its index is not JSON of the kind expected.
    #[error("the layout's index {path} can't be read")]
    Malformed {
        /// The index.
        path: Utf8PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

impl Layout {
    /// Opens the layout at `path`, and makes it if there is none. Waits while another process has it open.
    pub fn open(path: &Utf8Path) -> Result<Self, LayoutError> {
        let failed = |source| LayoutError::Io { path: path.to_owned(), source };
        std::fs::create_dir_all(path).map_err(failed)?;
        let marker = path.join("oci-layout");
        if !marker.is_file() {
            if has_other_files(path).map_err(failed)? {
                return Err(LayoutError::Foreign { path: path.to_owned() });
            }
            mark(path, &marker).map_err(failed)?;
        }
        let lock = lock(&marker).map_err(failed)?;
        let directory = cap_std::fs::Dir::open_ambient_dir(path, cap_std::ambient_authority()).map_err(failed)?;
        let other = |error: ocidir::Error| failed(io::Error::other(error));
        OciDir::ensure(directory).map_err(other)?;
        Ok(Self { path: path.to_owned(), sharing: Sharing::default(), is_changed: AtomicBool::new(false), _lock: lock })
    }

    /// Where the blob with this digest is or would be.
    #[must_use]
    pub fn blob(&self, digest: Sha256) -> Utf8PathBuf {
        blob_path(&self.path, digest)
    }

    /// Puts the blobs of images into the layout. What is there already stays, what is in the store is shared with it where
    /// the file system can, by reflink or hard link. Layers have to be in the store.
    ///
    /// The images can be seen only after [`commit`](Self::commit).
    pub fn add(&self, images: &[Image], store: &Store) -> Result<(), LayoutError> {
        let layers = images.iter().flat_map(|image| &image.layers).map(|layer| (layer.digest, (layer.size, None)));
        let documents = images.iter().flat_map(|image| [&image.config, &image.manifest]);
        let documents = documents.map(|it| (it.digest, (it.bytes.len() as u64, Some(it.bytes.as_slice()))));
        let blobs: BTreeMap<Sha256, (u64, Option<&[u8]>)> = layers.chain(documents).collect();
        blobs.into_par_iter().try_for_each(|(digest, (size, bytes))| {
            self.put(digest, size, bytes, store).map_err(|source| LayoutError::Blob {
                path: self.path.clone(),
                digest,
                source,
            })
        })
    }

    /// Makes the layout have a blob, from the store or else from `bytes`.
    fn put(&self, digest: Sha256, size: u64, bytes: Option<&[u8]>, store: &Store) -> Result<(), Refusal> {
        let path = self.blob(digest);
        match path.symlink_metadata() {
            // A build that was cut off leaves no blob of the right length under its name; a damaged disk may leave a
            // shorter one.
            Ok(found) if found.is_file() && found.len() == size => return Ok(()),
            Ok(_) => std::fs::remove_file(&path)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
        self.is_changed.store(true, Ordering::Relaxed);
        match (store.find_sized(&digest, size), bytes) {
            (Some(stored), _) if self.sharing.share(&stored, &path, &self.path)? => Ok(()),
            (Some(stored), _) => self.copy(digest, size, File::open(stored)?),
            (None, Some(bytes)) => self.copy(digest, size, bytes),
            (None, None) => Err("it is not in the store".into()),
        }
    }

    /// Writes a blob, which is checked. Not by ocidir, whose writer panics where the disk is full.
    fn copy(&self, digest: Sha256, size: u64, mut content: impl Read) -> Result<(), Refusal> {
        let file = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(&self.path)?;
        let mut hashing = Hashing::new(file.as_file());
        io::copy(&mut content, &mut hashing)?;
        let (found, count, _) = hashing.finish();
        if (found, count) != (digest, size) {
            return Err(format!("what is to be written is {count} bytes with SHA-256 {found}").into());
        }
        file.as_file().set_permissions(Permissions::from_mode(0o644))?;
        file.as_file().sync_all()?;
        file.persist(self.blob(digest))?;
        Ok(())
    }

    /// Makes `images` visible, all at once: replaces the index. Other images stay, of other architectures too, if `keep`
    /// holds on to their name; what has no name goes. Then removes what no image of the index needs.
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

    /// What an index names has to survive a crash, if the index does. Blobs are on the disk; their names are not.
    fn sync(&self) -> io::Result<()> {
        let names = ["oci-layout", "blobs/sha256"];
        names.into_par_iter().try_for_each(|name| File::open(self.path.join(name))?.sync_all())
    }

    /// The layout's index as it is on disk; empty where there is none.
    fn read_index(&self) -> Result<Vec<u8>, LayoutError> {
        let path = self.path.join("index.json");
        match std::fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            other => other.map_err(|source| LayoutError::Io { path, source }),
        }
    }

    /// Removes what a build left half-written that was cut off. No other build is at work: the layout is locked.
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

    /// Removes blobs that no image of the index needs, and what a build left that was cut off. `images` are known.
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
            let manifest = std::fs::read(self.blob(digest)).ok();
            let manifest = manifest.and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
            // Something that isn't understood may need any blob.
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

/// Writes what says that a directory is a layout. It reaches the disk with the first index. Never replaces it: it is what
/// processes lock.
fn mark(directory: &Utf8Path, marker: &Utf8Path) -> io::Result<()> {
    let mut file = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(directory)?;
    file.write_all(br#"{"imageLayoutVersion":"1.0.0"}"#)?;
    file.as_file().set_permissions(Permissions::from_mode(0o644))?;
    match file.persist_noclobber(marker) {
        Err(error) if error.error.kind() != io::ErrorKind::AlreadyExists => Err(error.error),
        _ => Ok(()),
    }
}

/// Waits for the lock of a layout. It is not on the directory: NFS has exclusive locks only for what is open for writing.
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

/// What is kept of an index: its entries, whatever is in them.
#[derive(Deserialize)]
struct Index {
    manifests: Vec<Value>,
}

/// An index of some manifests.
pub(super) fn index(manifests: &[Value]) -> Value {
    json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests })
}

/// How an index refers to an image.
pub(super) fn entry(image: &Image, annotations: &[(&str, &str)]) -> Value {
    let mut entry = descriptor(MANIFEST, image.manifest.digest, image.manifest.bytes.len() as u64);
    let annotations = annotations.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
    if let Some(object) = entry.as_object_mut() {
        object.insert("platform".to_owned(), image.platform.to_json());
        object.insert("annotations".to_owned(), Value::Object(annotations));
    }
    entry
}

/// Where the blob with this digest is in a layout (OCI image-spec, `image-layout.md`).
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
mod tests {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    use super::*;
    use crate::oci::image::tests::image;
    use crate::oci::{Built, Images};
    use ocidir::OciRead as _;

    /// A store with these layers, and room for a layout.
    struct Fixture {
        directory: tempfile::TempDir,
        store: Store,
    }

    impl Fixture {
        fn new(layers: &[&[u8]]) -> Self {
            let directory = tempfile::tempdir().unwrap();
            let store = Store::open(&Utf8Path::from_path(directory.path()).unwrap().join("cache")).unwrap();
            for layer in layers {
                store.insert(*layer, None, 1 << 20).unwrap();
            }
            Self { directory, store }
        }

        fn path(&self) -> Utf8PathBuf {
            Utf8Path::from_path(self.directory.path()).unwrap().join("oci")
        }
    }

    /// The images that a layout's index names, for the architecture of [`image`].
    fn images(path: &Utf8Path) -> Vec<Built> {
        Images::read(path).unwrap().choose(&[], None, Some(Platform::of("aarch64").unwrap())).unwrap()
    }

    fn built(image: &Image) -> Built {
        Built { name: image.name.clone(), digest: image.manifest.digest }
    }

    #[test]
    fn a_layout_has_what_was_committed_and_is_sound() {
        let fixture = Fixture::new(&[b"first", b"second"]);
        let path = fixture.path();
        let (first, second) = (image(b"first"), image(b"second"));
        let layout = Layout::open(&path).unwrap();
        layout.add(std::slice::from_ref(&first), &fixture.store).unwrap();
        layout.commit(std::slice::from_ref(&first), |_| true).unwrap();
        layout.add(std::slice::from_ref(&second), &fixture.store).unwrap();
        assert_eq!(images(&path), [built(&first)], "not before it is committed");
        let other = Image { name: "other".to_owned(), ..first.clone() };
        layout.commit(&[second.clone(), other.clone()], |_| true).unwrap();
        assert_eq!(images(&path), [built(&other), built(&second)]);
        assert!(layout.blob(first.layers[0].digest).exists(), "needed by the other one");
        std::fs::write(path.join(format!("{UNFINISHED}x")), "half").unwrap();
        layout.commit(&[], |name| name == "postfix").unwrap();
        assert_eq!(images(&path), [built(&second)]);
        assert!(!layout.blob(first.layers[0].digest).exists() && layout.blob(second.layers[0].digest).exists());
        assert!(!path.join(format!("{UNFINISHED}x")).exists());
        let directory = cap_std::fs::Dir::open_ambient_dir(&path, cap_std::ambient_authority()).unwrap();
        assert_eq!(OciDir::open(directory).unwrap().fsck().unwrap(), 3);
    }

    #[test]
    fn another_architecture_of_an_image_stays_as_it_is() {
        let fixture = Fixture::new(&[b"arm", b"intel", b"newer"]);
        let (path, intel_platform) = (fixture.path(), Platform::of("x86_64").unwrap());
        let arm = image(b"arm");
        let [intel, newer] = [b"intel", b"newer"].map(|it| Image { platform: intel_platform, ..image(it) });
        let layout = Layout::open(&path).unwrap();
        for image in [&arm, &intel, &newer] {
            layout.add(std::slice::from_ref(image), &fixture.store).unwrap();
            layout.commit(std::slice::from_ref(image), |_| true).unwrap();
        }
        assert_eq!(images(&path), [built(&arm)]);
        let chosen = Images::read(&path).unwrap().choose(&[], Some(intel_platform), None).unwrap();
        assert_eq!(chosen, [built(&newer)]);
        assert!(layout.blob(arm.layers[0].digest).exists() && !layout.blob(intel.layers[0].digest).exists());
        let index = std::fs::read(path.join("index.json")).unwrap();
        layout.commit(&[arm, newer], |_| true).unwrap();
        assert_eq!(std::fs::read(path.join("index.json")).unwrap(), index, "in whatever order they were built");
    }

    #[test]
    fn what_is_there_already_is_not_written_again() {
        let fixture = Fixture::new(&[b"layer"]);
        let image = image(b"layer");
        let build = || {
            let layout = Layout::open(&fixture.path()).unwrap();
            layout.add(std::slice::from_ref(&image), &fixture.store).unwrap();
            layout.commit(std::slice::from_ref(&image), |_| true).unwrap();
            let files = ["oci-layout".into(), "index.json".into(), format!("blobs/{}", image.manifest.digest.to_oci())];
            files.map(|name: String| fixture.path().join(name.replace(':', "/")).metadata().unwrap().ino())
        };
        assert_eq!(build(), build());
    }

    #[test]
    fn blobs_are_shared_with_the_store_and_read_only() {
        let fixture = Fixture::new(&[b"layer"]);
        let (image, layout) = (image(b"layer"), Layout::open(&fixture.path()).unwrap());
        fixture.store.insert(image.config.bytes.as_slice(), None, 1 << 20).unwrap();
        // As where the file system makes no reflinks, which most don't.
        let layout = Layout { sharing: Sharing::without_reflinks(), ..layout };
        layout.add(std::slice::from_ref(&image), &fixture.store).unwrap();
        for digest in [image.layers[0].digest, image.config.digest] {
            let stored = fixture.store.find(&digest).unwrap().metadata().unwrap();
            let blob = layout.blob(digest).metadata().unwrap();
            assert_eq!((blob.dev(), blob.ino()), (stored.dev(), stored.ino()));
            assert_eq!(blob.permissions().mode() & 0o777, 0o444);
        }
        assert_eq!(
            std::fs::read(layout.blob(image.manifest.digest)).unwrap(),
            image.manifest.bytes,
            "not in the store"
        );
    }

    #[test]
    fn blobs_are_copied_to_another_file_system_and_checked() {
        let fixture = Fixture::new(&[b"layer"]);
        let memory = tempfile::tempdir_in("/dev/shm").unwrap();
        let layout = Layout::open(Utf8Path::from_path(memory.path()).unwrap()).unwrap();
        let image = image(b"layer");
        layout.add(std::slice::from_ref(&image), &fixture.store).unwrap();
        assert_eq!(std::fs::read(layout.blob(image.layers[0].digest)).unwrap(), b"layer");
        std::fs::remove_file(layout.blob(image.layers[0].digest)).unwrap();
        rot(&fixture.store, image.layers[0].digest, "rot10");
        assert!(matches!(layout.add(&[image], &fixture.store), Err(LayoutError::Blob { .. })));
    }

    /// Damages a file of the store.
    fn rot(store: &Store, digest: Sha256, content: &str) {
        let path = store.find(&digest).unwrap();
        std::fs::remove_file(&path).unwrap();
        std::fs::write(path, content).unwrap();
    }

    #[test]
    fn a_blob_that_was_cut_short_is_replaced_and_not_written_into() {
        let fixture = Fixture::new(&[b"layer"]);
        let (image, layout) = (image(b"layer"), Layout::open(&fixture.path()).unwrap());
        let blob = layout.blob(image.layers[0].digest);
        std::fs::write(&blob, b"lay").unwrap();
        let witness = fixture.path().join("witness");
        std::fs::hard_link(&blob, &witness).unwrap();
        layout.add(&[image], &fixture.store).unwrap();
        assert_eq!(std::fs::read(blob).unwrap(), b"layer");
        assert_eq!(std::fs::read(witness).unwrap(), b"lay");
    }

    #[test]
    fn a_layer_that_the_store_lacks_is_told() {
        let fixture = Fixture::new(&[b"layer"]);
        let (image, layout) = (image(b"layer"), Layout::open(&fixture.path()).unwrap());
        rot(&fixture.store, image.layers[0].digest, "lay");
        let error = layout.add(std::slice::from_ref(&image), &fixture.store).unwrap_err();
        let LayoutError::Blob { digest, source, .. } = error else { panic!("{error}") };
        assert_eq!((digest, source.to_string().as_str()), (image.layers[0].digest, "it is not in the store"));
    }

    #[test]
    fn an_index_that_is_none_is_not_replaced() {
        let fixture = Fixture::new(&[]);
        let layout = Layout::open(&fixture.path()).unwrap();
        for text in ["not json", "{}", r#"{"manifests":"x"}"#] {
            std::fs::write(fixture.path().join("index.json"), text).unwrap();
            let error = layout.commit(&[], |_| true).unwrap_err();
            assert!(matches!(error, LayoutError::Malformed { .. }), "{error}");
            assert_eq!(std::fs::read_to_string(fixture.path().join("index.json")).unwrap(), text);
        }
    }

    #[test]
    fn other_directories_are_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("thesis.txt"), "precious").unwrap();
        let opened = Layout::open(Utf8Path::from_path(directory.path()).unwrap());
        assert!(matches!(opened, Err(LayoutError::Foreign { .. })));
    }
}
