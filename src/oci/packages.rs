use std::collections::BTreeSet;

use oci_spec::image::{Descriptor, ImageManifest};
use serde_json::{Value, json};

use super::image::{Document, Image, MANIFEST, descriptor};
use crate::digest::Sha256;

/// What an artifact is that holds the packages of which an image was made.
const ARTIFACT: &str = "application/vnd.mailimg.packages.v1";
/// Media type of a package's member.
const MEMBER: &str = "application/gzip";
/// Media type of a configuration that says nothing (OCI image-spec, "Guidance for an Empty Descriptor").
const EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// Such a configuration.
pub const EMPTY_CONFIG: &[u8] = b"{}";

/// A member of a package file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageMember {
    /// SHA-256 of its bytes.
    pub digest: Sha256,
    /// Bytes.
    pub size: u64,
    /// What it is, for people: `postfix-3.10.1-r0.apk, data`.
    pub title: String,
}

/// The manifest of an artifact that holds the packages of which `image` was made: it refers to the image (OCI image-spec
/// 1.1, `subject`), and its layers are the packages' members. A registry that has it has all that building the image
/// again takes.
pub fn packages_manifest(image: &Image, members: &[PackageMember]) -> Result<Document, serde_json::Error> {
    let mut seen = BTreeSet::new();
    let layers = members.iter().filter(|member| seen.insert(member.digest)).map(|member| {
        let mut layer = descriptor(MEMBER, member.digest, member.size);
        if let Some(layer) = layer.as_object_mut() {
            layer.insert("annotations".to_owned(), json!({ "org.opencontainers.image.title": member.title }));
        }
        layer
    });
    Document::new(&json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": ARTIFACT,
        "config": descriptor(EMPTY, Sha256::of(EMPTY_CONFIG), EMPTY_CONFIG.len() as u64),
        "layers": layers.collect::<Vec<Value>>(),
        "subject": descriptor(MANIFEST, image.manifest.digest, image.manifest.bytes.len() as u64),
    }))
}

/// Digests and sizes of the blobs that a manifest names.
pub fn blobs_of(manifest: &[u8]) -> Result<Vec<(Sha256, u64)>, Box<dyn std::error::Error + Send + Sync>> {
    let manifest: ImageManifest = serde_json::from_slice(manifest)?;
    let blob = |blob: &Descriptor| Ok((blob.digest().digest().parse()?, blob.size()));
    manifest.layers().iter().chain([manifest.config()]).map(blob).collect()
}

/// The tag under which the packages of an image are kept, so that registries which don't know `subject` keep them too.
#[must_use]
pub fn packages_tag(image: Sha256) -> String {
    format!("sha256-{image}.packages")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::Platform;

    #[test]
    fn an_image_names_its_packages_in_canonical_json() {
        let document = Document::new(&json!({})).unwrap();
        let image = Image {
            name: "web".to_owned(),
            platform: Platform::of("x86_64").unwrap(),
            manifest: document.clone(),
            config: document,
            layers: Vec::new(),
        };
        let member = |title: &str| PackageMember { digest: Sha256::of("member"), size: 6, title: title.to_owned() };
        let manifest = packages_manifest(&image, &[member("a.apk, data"), member("b.apk, data")]).unwrap();
        let (empty, digest) = (Sha256::of("{}"), Sha256::of("member"));
        let expected = format!(
            "{{\"artifactType\":\"{ARTIFACT}\",\
             \"config\":{{\"digest\":\"sha256:{empty}\",\"mediaType\":\"{EMPTY}\",\"size\":2}},\
             \"layers\":[{{\"annotations\":{{\"org.opencontainers.image.title\":\"a.apk, data\"}},\
             \"digest\":\"sha256:{digest}\",\"mediaType\":\"application/gzip\",\"size\":6}}],\
             \"mediaType\":\"{MANIFEST}\",\"schemaVersion\":2,\
             \"subject\":{{\"digest\":\"sha256:{empty}\",\"mediaType\":\"{MANIFEST}\",\"size\":2}}}}"
        );
        assert_eq!(String::from_utf8(manifest.bytes).unwrap(), expected);
        assert!(packages_tag(image.manifest.digest).len() <= 128, "a tag's longest");
    }
}
