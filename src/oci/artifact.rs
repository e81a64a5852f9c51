use camino::Utf8Path;
use oci_spec::image::{Descriptor, ImageManifest, MediaType};
use serde_json::{Value, json};

use super::image::{Document, Image, MANIFEST, descriptor};
use super::images::{ImagesError, malformed, read_document};
use crate::digest::{DigestError, Sha256};

/// The media type of an empty configuration (OCI image-spec, "Guidance for an Empty Descriptor").
const EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// An empty configuration.
pub const EMPTY_CONFIG: &[u8] = b"{}";

/// The kind of an artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArtifactKind {
    /// The packages of the image, which are all it takes to build the image again.
    Packages,
}

/// An artifact about an image (OCI image-spec 1.1, `subject`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    pub kind: ArtifactKind,
    /// The digest of the image's manifest.
    pub subject: Sha256,
    /// The digest and size of each blob in the manifest.
    pub blobs: Vec<(Sha256, u64)>,
    pub manifest: Document,
}

/// A part of an artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactLayer {
    /// Media type of its bytes.
    pub media_type: &'static str,
    /// SHA-256 of its bytes.
    pub digest: Sha256,
    /// Bytes.
    pub size: u64,
    /// What it is, for people: `postfix-3.10.1-r0.apk, data`.
    pub title: String,
}

impl ArtifactKind {
    const ALL: [Self; 1] = [Self::Packages];

    /// The manifest's `artifactType`.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Packages => "application/vnd.mailimg.packages.v1",
        }
    }

    fn suffix(self) -> &'static str {
        match self {
            Self::Packages => "packages",
        }
    }
}

impl Artifact {
    /// Creates an artifact about `image`. The same input gives the same bytes.
    pub fn new(kind: ArtifactKind, image: &Image, layers: &[ArtifactLayer]) -> Result<Self, serde_json::Error> {
        let subject = &image.manifest;
        let empty = (Sha256::of(EMPTY_CONFIG), EMPTY_CONFIG.len() as u64);
        let manifest = Document::new(&json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": kind.media_type(),
            "config": descriptor(EMPTY, empty.0, empty.1),
            "layers": layers.iter().map(ArtifactLayer::to_json).collect::<Vec<_>>(),
            "subject": descriptor(MANIFEST, subject.digest, subject.bytes.len() as u64),
        }))?;
        let blobs = layers.iter().map(|layer| (layer.digest, layer.size)).chain([empty]).collect();
        Ok(Self { kind, subject: subject.digest, blobs, manifest })
    }

    /// Reads the artifact with the manifest at `path`, which has this digest.
    pub fn read(path: &Utf8Path, digest: Sha256) -> Result<Self, ImagesError> {
        let malformed = malformed(path);
        let manifest = read_document(path, digest)?;
        let parsed: ImageManifest = serde_json::from_slice(&manifest.bytes).map_err(|error| malformed(error.into()))?;
        let named = parsed.artifact_type().as_ref().map(MediaType::to_string).unwrap_or_default();
        let kind = ArtifactKind::ALL.into_iter().find(|kind| kind.media_type() == named);
        let kind = kind.ok_or_else(|| malformed(format!("unknown artifact type {named:?}").into()))?;
        let digest = |named: &Descriptor| {
            let digits = named.digest().digest();
            digits.parse().map_err(|error: DigestError| malformed(error.into()))
        };
        let blobs = parsed.layers().iter().chain([parsed.config()]).map(|blob| Ok((digest(blob)?, blob.size())));
        let blobs = blobs.collect::<Result<_, ImagesError>>()?;
        let subject = parsed.subject().as_ref().ok_or_else(|| malformed("it has no subject".into()))?;
        let subject = digest(subject)?;
        Ok(Self { kind, subject, blobs, manifest })
    }

    /// Its tag in a registry. Many registries don't support `subject`, and delete manifests without a tag.
    #[must_use]
    pub fn tag(&self) -> String {
        format!("sha256-{}.{}", self.subject, self.kind.suffix())
    }
}

impl ArtifactLayer {
    fn to_json(&self) -> Value {
        json!({
            "mediaType": self.media_type,
            "digest": self.digest.to_oci(),
            "size": self.size,
            "annotations": { "org.opencontainers.image.title": self.title },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::image::tests::image;

    fn artifact() -> Artifact {
        let layer = ArtifactLayer {
            media_type: "application/gzip",
            digest: Sha256::of("member"),
            size: 6,
            title: "a.apk, data".to_owned(),
        };
        Artifact::new(ArtifactKind::Packages, &image(b"layer"), &[layer]).unwrap()
    }

    #[test]
    fn an_artifact_names_its_image_in_canonical_json() {
        let (artifact, image) = (artifact(), image(b"layer").manifest);
        let (empty, digest) = (Sha256::of("{}"), Sha256::of("member"));
        let expected = format!(
            "{{\"artifactType\":\"application/vnd.mailimg.packages.v1\",\
             \"config\":{{\"digest\":\"sha256:{empty}\",\"mediaType\":\"{EMPTY}\",\"size\":2}},\
             \"layers\":[{{\"annotations\":{{\"org.opencontainers.image.title\":\"a.apk, data\"}},\
             \"digest\":\"sha256:{digest}\",\"mediaType\":\"application/gzip\",\"size\":6}}],\
             \"mediaType\":\"{MANIFEST}\",\"schemaVersion\":2,\
             \"subject\":{{\"digest\":\"sha256:{}\",\"mediaType\":\"{MANIFEST}\",\"size\":{}}}}}",
            image.digest,
            image.bytes.len(),
        );
        assert_eq!(String::from_utf8(artifact.manifest.bytes.clone()).unwrap(), expected);
        assert_eq!(artifact.tag(), format!("sha256-{}.packages", image.digest));
        assert!(artifact.tag().len() <= 128, "a tag's longest");
    }

    #[test]
    fn an_artifact_is_read_as_it_was_made() {
        let directory = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(directory.path()).unwrap().join("manifest");
        let artifact = artifact();
        std::fs::write(&path, &artifact.manifest.bytes).unwrap();
        assert_eq!(Artifact::read(&path, artifact.manifest.digest).unwrap(), artifact);
    }

    #[test]
    fn an_image_is_no_artifact() {
        let directory = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(directory.path()).unwrap().join("manifest");
        let image = image(b"layer").manifest;
        std::fs::write(&path, &image.bytes).unwrap();
        assert!(matches!(Artifact::read(&path, image.digest), Err(ImagesError::Malformed { .. })));
        assert!(matches!(Artifact::read(&path, Sha256::of("other")), Err(ImagesError::Malformed { .. })));
    }
}
