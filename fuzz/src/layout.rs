//! OCI layouts: three documents with a line `---` between them, which are an index, a manifest and a configuration.
//! `@manifest@` and `@config@` stand for digests, which a fuzzer can't guess.

use std::fs;

use camino::{Utf8Path, Utf8PathBuf};
use mailimg::digest::Sha256;
use mailimg::oci::{Artifact, Images, Layout, Platform, blob_path, read_image};

use crate::common::{Outcome, Target};

pub const TARGET: Target = Target { check, seeds };

const BETWEEN: &str = "\n---\n";

fn check(input: &[u8]) -> Outcome {
    let text = std::str::from_utf8(input)?;
    let mut documents = text.splitn(3, BETWEEN);
    let [index, manifest, config] = [(); 3].map(|()| documents.next().unwrap_or_default());
    let manifest = manifest.replace("@config@", &Sha256::of(config).to_string());
    let index = index.replace("@manifest@", &Sha256::of(&manifest).to_string());
    let directory = tempfile::tempdir()?;
    let layout = Utf8Path::from_path(directory.path()).ok_or("not UTF-8")?;
    fs::create_dir_all(layout.join("blobs/sha256"))?;
    fs::write(layout.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)?;
    for (path, text) in
        [(layout.join("index.json"), &*index), (blob(layout, &manifest), &manifest), (blob(layout, config), config)]
    {
        fs::write(path, text)?;
    }
    read(layout, Sha256::of(&manifest))
}

fn blob(layout: &Utf8Path, content: &str) -> Utf8PathBuf {
    blob_path(layout, Sha256::of(content))
}

fn read(layout: &Utf8Path, manifest: Sha256) -> Outcome {
    let images = Images::read(layout)?;
    let chosen = images.choose(&[], Platform::of("x86_64").ok(), None)?;
    for built in &chosen {
        assert!(images.has(&built.name, built.digest));
    }
    let image = read_image(layout, "web", manifest);
    if let Ok(image) = &image {
        assert_eq!(image.manifest.digest, manifest);
    }
    let artifact = Artifact::read(&blob_path(layout, manifest), manifest);
    assert!(artifact.is_err() || artifact.is_ok_and(|artifact| artifact.manifest.digest == manifest));
    // An image that is named stays, with its blobs.
    Layout::open(layout)?.commit(&[], |_| true)?;
    let kept = Images::read(layout)?.choose(&[], Platform::of("x86_64").ok(), None)?;
    assert_eq!(kept, chosen);
    let is_named = chosen.iter().any(|built| built.digest == manifest);
    let again = read_image(layout, "web", manifest);
    assert!(!is_named || again.is_ok() == image.is_ok(), "{again:?}");
    image?;
    Ok(())
}

fn seeds() -> Vec<Vec<u8>> {
    let index = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:@manifest@","size":1,"platform":{"architecture":"amd64","os":"linux"},"annotations":{"org.opencontainers.image.ref.name":"web"}},{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683","size":2,"platform":{"architecture":"arm64","os":"linux","variant":"v8"},"annotations":{"org.opencontainers.image.ref.name":"web"}}]}"#;
    let manifest = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:@config@","size":3},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"sha256:1a2fc26dc7ea5a2a4748b7cb2b1ef193d96ab2c99f93092f69e63075b28d1278","size":4}],"annotations":{"a":"b"}}"#;
    let config = r#"{"architecture":"amd64","os":"linux","config":{"Env":["PATH=/bin"],"Entrypoint":["/bin/web"],"Labels":{"a":"b"}},"rootfs":{"type":"layers","diff_ids":["sha256:82c383d897ac8380f4f31354b5f96a8dde724a544e58ee09d9ecbb76f918e0d4"]},"history":[{"created":"2026-06-01T00:00:00Z"}]}"#;
    let artifact = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","artifactType":"application/vnd.mailimg.packages.v1","config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"sha256:@config@","size":2},"layers":[],"subject":{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:@config@","size":5}}"#;
    [[index, manifest, config], [index, artifact, "{}"], [r#"{"schemaVersion":2,"manifests":[]}"#, "", ""]]
        .map(|documents| documents.join(BETWEEN).into_bytes())
        .to_vec()
}
