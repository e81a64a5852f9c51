use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use oci_spec::image::ImageIndex;

use crate::digest::Sha256;

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
    #[error("{path} is not the index of an OCI layout")]
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
    let malformed =
        |source: Box<dyn std::error::Error + Send + Sync>| ImagesError::Malformed { path: path.clone(), source };
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
