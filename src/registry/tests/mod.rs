//! Real-world registries: deviations from the specification, and failures.

mod authentication;
mod fake;
mod pulls;
mod pushes;
mod uploads;

use std::time::Duration;

use camino::Utf8PathBuf;

use super::keychain::Keychain;
use super::{Blob, Client, Push, Repository};
use crate::digest::Sha256;
use crate::http;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// A file for each test, and a client that knows no credentials but those that a test gives it.
struct Setup {
    folder: tempfile::TempDir,
    client: Client,
}

fn setup() -> Setup {
    setup_with("{}")
}

/// A setup with this `config.json`.
fn setup_with(config: &str) -> Setup {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.json");
    std::fs::write(&file, config).unwrap();
    let settings = http::Settings { backoff: Duration::from_millis(1), ..http::Settings::default() };
    let mut client = Client::new(http::Client::new(settings));
    client.keychain = Keychain::new(vec![file]);
    Setup { folder, client }
}

impl Setup {
    fn blob(&self, content: &[u8]) -> Blob {
        let digest = Sha256::of(content);
        let path = Utf8PathBuf::try_from(self.folder.path().join(digest.to_string())).unwrap();
        std::fs::write(&path, content).unwrap();
        Blob { digest, size: content.len() as u64, path }
    }

    /// Pushes blobs, and a manifest if there is one.
    async fn push(
        &self,
        repository: &Repository,
        blobs: &[Blob],
        manifest: Option<&[u8]>,
    ) -> Result<(), super::RegistryError> {
        let tags = manifest.iter().map(|_| "latest".parse().unwrap()).collect();
        let push = Push { blobs: blobs.to_vec(), media_type: MANIFEST, manifest: manifest.unwrap_or_default(), tags };
        self.client.push(repository, &push, &|_, _| ()).await
    }
}
