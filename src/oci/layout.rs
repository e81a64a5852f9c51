use std::collections::BTreeSet;
use std::fs::File;
use std::io;

use camino::{Utf8Path, Utf8PathBuf};
use cap_std_ext::cap_std;
use oci_spec::image::{Descriptor, MediaType};
use ocidir::OciDir;
use serde_json::{Value, json};

use super::image::{CONFIG, INDEX, LAYER, MANIFEST, descriptor};
use super::{Document, Image, NAME};
use crate::digest::Sha256;
use crate::store::{WriteError, write_atomic};

/// What the names of archives in a layout's directory begin with while they are being written.
pub const UNFINISHED: &str = ".archive-";

/// An OCI image layout on disk, held by one process at a time.
#[derive(Debug)]
pub struct Layout {
    path: Utf8PathBuf,
    directory: OciDir,
    _lock: File,
}

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
        source: Box<dyn std::error::Error + Send + Sync>,
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
        let is_empty = path.read_dir_utf8().map_err(failed)?.next().is_none();
        if !is_empty && !path.join("oci-layout").is_file() {
            return Err(LayoutError::Foreign { path: path.to_owned() });
        }
        let lock = File::open(path).map_err(failed)?;
        lock.lock().map_err(failed)?;
        let directory = cap_std::fs::Dir::open_ambient_dir(path, cap_std::ambient_authority()).map_err(failed)?;
        let other = |error: ocidir::Error| failed(io::Error::other(error));
        Ok(Self { path: path.to_owned(), directory: OciDir::ensure(directory).map_err(other)?, _lock: lock })
    }

    /// Where the blob with this digest is or would be.
    #[must_use]
    pub fn blob(&self, digest: Sha256) -> Utf8PathBuf {
        blob_path(&self.path, digest)
    }

    /// Puts the blobs of an image into the layout. `open` gives a layer's bytes. What is there already stays.
    ///
    /// The image can be seen only after [`commit`](Self::commit).
    pub fn add(&self, image: &Image, open: impl Fn(Sha256) -> io::Result<File>) -> Result<(), LayoutError> {
        for layer in &image.layers {
            self.put(LAYER, layer.digest, layer.size, |out| io::copy(&mut open(layer.digest)?, out).map(drop))?;
        }
        for (media_type, document) in [(CONFIG, &image.config), (MANIFEST, &image.manifest)] {
            let size = document.bytes.len() as u64;
            self.put(media_type, document.digest, size, |out| out.write_all(&document.bytes))?;
        }
        Ok(())
    }

    fn put(
        &self,
        media_type: &str,
        digest: Sha256,
        size: u64,
        fill: impl FnOnce(&mut dyn io::Write) -> io::Result<()>,
    ) -> Result<(), LayoutError> {
        let path = self.blob(digest);
        // A build that was cut off leaves no blob of the right length under its name; a damaged disk may leave a shorter.
        if path.metadata().is_ok_and(|found| found.is_file() && found.len() == size) {
            return Ok(());
        }
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| LayoutError::Blob {
            path: self.path.clone(),
            digest,
            source,
        };
        let name = digest.to_oci().parse::<oci_spec::image::Digest>().map_err(|error| failed(error.into()))?;
        let expected = Descriptor::new(MediaType::from(media_type), size, name);
        let mut blob = self.directory.create_blob().map_err(|error| failed(error.into()))?;
        fill(&mut blob).map_err(|error| failed(error.into()))?;
        blob.complete_verified_as(&expected).map_err(|error| failed(error.into()))?;
        // ocidir leaves it to the system when bytes reach the disk.
        let synced = File::open(&path).and_then(|file| file.sync_all());
        synced.map_err(|error| failed(error.into()))
    }

    /// Makes `images` visible, all at once: replaces the index. Images of other names that `keep` holds on to stay.
    pub fn commit(&self, images: &[Image], keep: impl Fn(&str) -> bool) -> Result<(), LayoutError> {
        let blobs = self.path.join("blobs/sha256");
        let failed = |source| LayoutError::Io { path: blobs.clone(), source };
        File::open(&blobs).and_then(|directory| directory.sync_all()).map_err(failed)?;
        let path = self.path.join("index.json");
        let malformed = |source| LayoutError::Malformed { path: path.clone(), source };
        let mut entries: Vec<Value> = self.entries()?;
        entries.retain(|entry| {
            let name = name_of(entry).unwrap_or_default();
            keep(name) && images.iter().all(|image| image.name != name)
        });
        entries.extend(images.iter().map(|image| entry(image, &[(NAME, &image.name)])));
        entries.sort_by(|a, b| name_of(a).cmp(&name_of(b)));
        let index = Document::new(&index(&entries)).map_err(malformed)?;
        write_atomic(&path, &index.bytes, 0o644)?;
        Ok(())
    }

    /// The images in the layout's index.
    fn entries(&self) -> Result<Vec<Value>, LayoutError> {
        let path = self.path.join("index.json");
        let bytes = match std::fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(|source| LayoutError::Io { path: path.clone(), source })?,
        };
        let index: Value =
            serde_json::from_slice(&bytes).map_err(|source| LayoutError::Malformed { path: path.clone(), source })?;
        Ok(index.get("manifests").and_then(Value::as_array).cloned().unwrap_or_default())
    }

    /// Removes archives that a build left half-written that was cut off. No other build is at work: the layout is locked.
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

    /// Removes blobs that no image of the index needs, and what a build left that was cut off.
    pub fn prune(&self) -> Result<(), LayoutError> {
        let mut needed = BTreeSet::new();
        for entry in self.entries()? {
            needed.extend(digest_of(&entry));
            let manifest = digest_of(&entry).and_then(|digest| std::fs::read(self.blob(digest)).ok());
            let manifest = manifest.and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
            // Something that isn't understood may need any blob.
            let Some(manifest) = manifest.filter(|manifest| manifest.get("layers").is_some()) else { return Ok(()) };
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

fn digest_of(descriptor: &Value) -> Option<Sha256> {
    descriptor.get("digest")?.as_str()?.strip_prefix("sha256:")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::io::{Seek as _, Write as _};

    use super::*;
    use crate::oci::image::tests::image;
    use crate::oci::images;
    use ocidir::OciRead as _;

    fn open(bytes: &'static [u8]) -> impl Fn(Sha256) -> io::Result<File> {
        move |_| {
            let mut file = tempfile::tempfile()?;
            file.write_all(bytes)?;
            file.rewind()?;
            Ok(file)
        }
    }

    #[test]
    fn a_layout_has_what_was_committed_and_is_sound() {
        let directory = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(directory.path()).unwrap().join("oci");
        let (first, second) = (image(b"first"), image(b"second"));
        let layout = Layout::open(&path).unwrap();
        layout.add(&first, open(b"first")).unwrap();
        layout.commit(std::slice::from_ref(&first), |_| true).unwrap();
        layout.add(&second, open(b"second")).unwrap();
        assert_eq!(images(&path).unwrap()["postfix"], first.manifest.digest, "not before it is committed");
        let other = Image { name: "other".to_owned(), ..first.clone() };
        layout.commit(&[second.clone(), other], |_| true).unwrap();
        assert_eq!(images(&path).unwrap().len(), 2);
        layout.commit(&[], |name| name == "postfix").unwrap();
        std::fs::write(path.join(format!("{UNFINISHED}x")), "half").unwrap();
        layout.prune().unwrap();
        assert_eq!(
            images(&path).unwrap().into_iter().collect::<Vec<_>>(),
            [("postfix".to_owned(), second.manifest.digest)]
        );
        assert!(!layout.blob(first.layers[0].digest).exists() && layout.blob(second.layers[0].digest).exists());
        assert!(!path.join(format!("{UNFINISHED}x")).exists());
        assert_eq!(layout.directory.fsck().unwrap(), 3);
    }

    #[test]
    fn a_blob_that_was_cut_short_is_written_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(directory.path()).unwrap();
        let layout = Layout::open(path).unwrap();
        let image = image(b"layer");
        layout.add(&image, open(b"layer")).unwrap();
        let blob = layout.blob(image.layers[0].digest);
        std::fs::remove_file(&blob).unwrap();
        std::fs::write(&blob, b"lay").unwrap();
        layout.add(&image, open(b"layer")).unwrap();
        assert_eq!(std::fs::read(blob).unwrap(), b"layer");
    }

    #[test]
    fn a_layer_that_is_not_what_the_image_says_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let layout = Layout::open(Utf8Path::from_path(directory.path()).unwrap()).unwrap();
        assert!(matches!(layout.add(&image(b"layer"), open(b"rotten")), Err(LayoutError::Blob { .. })));
    }

    #[test]
    fn other_directories_are_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("thesis.txt"), "precious").unwrap();
        let opened = Layout::open(Utf8Path::from_path(directory.path()).unwrap());
        assert!(matches!(opened, Err(LayoutError::Foreign { .. })));
    }
}
