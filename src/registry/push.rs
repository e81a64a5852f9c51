use camino::Utf8PathBuf;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::{Client, RegistryError, Repository, Tag};
use crate::digest::Sha256;

/// Blobs that are on their way at once.
const PARALLEL: usize = 3;

/// A blob to push: a file.
#[derive(Debug, Clone)]
pub struct Blob {
    /// What it is called.
    pub digest: Sha256,
    /// Its length, bytes.
    pub size: u64,
    /// Where it is.
    pub path: Utf8PathBuf,
}

/// An image to push.
#[derive(Debug, Clone)]
pub struct Push<'a> {
    /// Its layers and its configuration.
    pub blobs: Vec<Blob>,
    /// Media type of the manifest.
    pub media_type: &'static str,
    /// The manifest.
    pub manifest: &'a [u8],
    /// Names under which the manifest can be pulled besides its digest.
    pub tags: Vec<Tag>,
}

impl Client {
    /// Makes the registry have an image: the blobs that it lacks, then the manifest under each tag. `from` is a
    /// repository that may have some of the blobs already. `done` is told of each blob and whether it had to be sent.
    pub async fn push(
        &self,
        repository: &Repository,
        image: &Push<'_>,
        from: Option<&Repository>,
        done: &(dyn Fn(&Blob, bool) + Sync),
    ) -> Result<(), RegistryError> {
        stream::iter(&image.blobs)
            .map(|blob| async move {
                let there = self.has_blob(repository, blob.digest).await?;
                if !there {
                    self.push_blob(repository, blob.digest, &blob.path, blob.size, from).await?;
                }
                done(blob, !there);
                Ok::<_, RegistryError>(())
            })
            .buffer_unordered(PARALLEL)
            .try_collect::<()>()
            .await?;
        for tag in &image.tags {
            self.push_manifest(repository, tag, image.media_type, image.manifest).await?;
        }
        Ok(())
    }
}
