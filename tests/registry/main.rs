//! A real registry, Debian's `docker-registry`, with and without faults on the way to it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

#[path = "../common/mod.rs"]
mod common;

mod blobs;
mod chunks;
mod manifests;
mod pulls;

use camino::Utf8PathBuf;
use mailimg::digest::Sha256;
use mailimg::registry::{Blob, Client, Push, RegistryError, Repository};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// Blobs to push, and a client.
struct Setup {
    folder: tempfile::TempDir,
    client: Client,
}

fn setup() -> Setup {
    Setup { folder: tempfile::tempdir().unwrap(), client: Client::default() }
}

impl Setup {
    fn blob(&self, content: &[u8]) -> Blob {
        let digest = Sha256::of(content);
        let path = Utf8PathBuf::try_from(self.folder.path().join(digest.to_string())).unwrap();
        std::fs::write(&path, content).unwrap();
        Blob { digest, size: content.len() as u64, path }
    }

    /// A blob of bytes that differ for each seed.
    fn large(&self, seed: u8, size: u32) -> Blob {
        let content: Vec<u8> = (0..size).map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()[3] ^ seed).collect();
        self.blob(&content)
    }

    async fn push(&self, repository: &Repository, blobs: &[&Blob]) -> Result<(), RegistryError> {
        self.push_manifest(repository, blobs, "", &[]).await
    }

    async fn push_manifest(
        &self,
        repository: &Repository,
        blobs: &[&Blob],
        manifest: &str,
        tags: &[&str],
    ) -> Result<(), RegistryError> {
        let push = Push {
            blobs: blobs.iter().copied().cloned().collect(),
            media_type: MANIFEST,
            manifest: manifest.as_bytes(),
            tags: tags.iter().map(|tag| tag.parse().unwrap()).collect(),
        };
        self.client.push(repository, &push, &|_, _| ()).await
    }
}
