use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use oci_spec::image::{ImageConfiguration, ImageIndex, ImageManifest};

use super::layout::blob_path;
use super::{Document, Image, Platform};
use crate::digest::Sha256;
use crate::layer::Layer;

/// Annotation that holds an image's name in the layout's index (OCI image-spec, `annotations.md`).
pub const NAME: &str = "org.opencontainers.image.ref.name";

/// Why it can't be told which images a layout holds.
#[derive(Debug, thiserror::Error)]
pub enum ImagesError {
    /// There is no layout.
    #[error("no images have been built: there is no {path}")]
    Nothing {
        /// Where its index would be.
        path: Utf8PathBuf,
    },
    /// The index can't be read.
    #[error("cannot read {path}")]
    Read {
        /// The index.
        path: Utf8PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The index is not one.
    #[error("{path} is not what an OCI layout has there")]
    Malformed {
        /// The index.
        path: Utf8PathBuf,
        /// Why not.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// The images of a layout: name to the digest of the manifest.
pub fn images(layout: &Utf8Path) -> Result<BTreeMap<String, Sha256>, ImagesError> {
    let path = layout.join("index.json");
    let text = match std::fs::read(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(ImagesError::Nothing { path }),
        Err(source) => return Err(ImagesError::Read { path, source }),
        Ok(text) => text,
    };
    let malformed = malformed(&path);
    let index: ImageIndex = serde_json::from_slice(&text).map_err(|error| malformed(error.into()))?;
    let mut images = BTreeMap::new();
    for manifest in index.manifests() {
        let name = manifest.annotations().as_ref().and_then(|annotations| annotations.get(NAME));
        if let Some(name) = name {
            let digits = manifest.digest().digest();
            let digest = digits.parse().map_err(|error: crate::digest::DigestError| malformed(error.into()))?;
            images.insert(name.clone(), digest);
        }
    }
    Ok(images)
}

/// Reads the image of a layout whose manifest has this digest.
pub fn read_image(layout: &Utf8Path, name: &str, manifest: Sha256) -> Result<Image, ImagesError> {
    read_image_at(&|digest| blob_path(layout, digest), name, manifest)
}

/// Reads the image whose manifest has this digest. `blob` says where manifest and configuration are.
pub fn read_image_at(blob: &dyn Fn(Sha256) -> Utf8PathBuf, name: &str, manifest: Sha256) -> Result<Image, ImagesError> {
    let path = blob(manifest);
    let manifest = read_document(&path, manifest)?;
    let malformed = malformed(&path);
    let parsed: ImageManifest = serde_json::from_slice(&manifest.bytes).map_err(|error| malformed(error.into()))?;
    let digest = |text: &str| text.parse::<Sha256>().map_err(|error| malformed(error.into()));
    let config = digest(parsed.config().digest().digest())?;
    let config = read_document(&blob(config), config)?;
    let described: ImageConfiguration =
        serde_json::from_slice(&config.bytes).map_err(|error| malformed(error.into()))?;
    let diff_ids = described.rootfs().diff_ids();
    if diff_ids.len() != parsed.layers().len() {
        return Err(malformed("its configuration names another number of layers".into()));
    }
    let mut layers = Vec::new();
    for (layer, diff_id) in parsed.layers().iter().zip(diff_ids) {
        layers.push(Layer {
            digest: digest(layer.digest().digest())?,
            size: layer.size(),
            diff_id: digest(diff_id.strip_prefix("sha256:").unwrap_or(diff_id))?,
            title: String::new(),
        });
    }
    let platform = Platform::of_oci(&described.architecture().to_string())
        .ok_or_else(|| malformed(format!("unknown architecture {}", described.architecture()).into()))?;
    Ok(Image { name: name.to_owned(), platform, manifest, config, layers })
}

/// For `map_err`: the file at `path` is not what a layout has there.
pub(super) fn malformed(path: &Utf8Path) -> impl Fn(Box<dyn std::error::Error + Send + Sync>) -> ImagesError + use<> {
    let path = path.to_owned();
    move |source| ImagesError::Malformed { path: path.clone(), source }
}

/// Longest manifest or configuration.
const DOCUMENT_LIMIT: u64 = 4 << 20;

pub(super) fn read_document(path: &Utf8Path, digest: Sha256) -> Result<Document, ImagesError> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(DOCUMENT_LIMIT).read_to_end(&mut bytes));
    read.map_err(|source| ImagesError::Read { path: path.to_owned(), source })?;
    let found = Sha256::of(&bytes);
    if found != digest {
        return Err(malformed(path)(format!("its SHA-256 is {found}").into()));
    }
    Ok(Document { digest, bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(index: &str) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("index.json"), index).unwrap();
        directory
    }

    fn read(directory: &tempfile::TempDir) -> Result<BTreeMap<String, Sha256>, ImagesError> {
        images(Utf8Path::from_path(directory.path()).unwrap())
    }

    #[test]
    fn images_have_names_and_digests() {
        let digest = Sha256::of("manifest");
        let index = serde_json::json!({
            "schemaVersion": 2,
            "manifests": [
                {
                    "mediaType": "application/vnd.oci.image.manifest.v1+json",
                    "digest": digest.to_oci(),
                    "size": 8,
                    "annotations": { NAME: "postfix" },
                },
                { "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest.to_oci(), "size": 8 },
            ],
        });
        let directory = layout(&index.to_string());
        assert_eq!(read(&directory).unwrap(), BTreeMap::from([("postfix".to_owned(), digest)]));
    }

    #[test]
    fn what_is_no_layout_is_told() {
        let empty = tempfile::tempdir().unwrap();
        assert!(matches!(read(&empty), Err(ImagesError::Nothing { .. })));
        assert!(matches!(read(&layout("{}")), Err(ImagesError::Malformed { .. })));
        assert!(matches!(read(&layout("not json")), Err(ImagesError::Malformed { .. })));
    }
}
