use camino::Utf8PathBuf;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::auth::Access;
use super::upload::Sent;
use super::{Client, RegistryError, Repository, Tag};
use crate::digest::Sha256;
use crate::http::Failed;

/// How many blobs are uploaded at once.
const PARALLEL: usize = 4;

/// A blob to push, in a file.
#[derive(Debug, Clone)]
pub struct Blob {
    pub digest: Sha256,
    /// Its length, bytes.
    pub size: u64,
    pub path: Utf8PathBuf,
}

/// An image to push.
#[derive(Debug, Clone)]
pub struct Push<'a> {
    /// Its layers and its configuration.
    pub blobs: Vec<Blob>,
    /// Media type of the manifest.
    pub media_type: &'static str,
    pub manifest: &'a [u8],
    /// Names under which the manifest can be pulled besides its digest.
    pub tags: Vec<Tag>,
}

impl Client {
    /// Pushes an image: missing blobs, then the manifest under each tag. `sent` receives how many bytes of a blob the
    /// registry has so far; of one that needn't be sent, all at once.
    pub async fn push(
        &self,
        repository: &Repository,
        image: &Push<'_>,
        sent: &(dyn Fn(&Blob, u64) + Sync),
    ) -> Result<(), RegistryError> {
        let from: Vec<Repository> = {
            let homes = self.homes.lock().await;
            let others = homes.iter().map(|(home, _)| home);
            others.filter(|home| *home != repository && home.host() == repository.host()).cloned().collect()
        };
        self.http
            .attempts(async |number| {
                // A registry may have linked less than it said.
                let from = if number == 1 { from.as_slice() } else { &[] };
                match self.push_from(Access { repository, push: true, from }, image, sent).await {
                    Err(error) if error.says("BLOB_UNKNOWN") => {
                        self.forget(repository).await;
                        Err(Failed::once(error))
                    }
                    pushed => Ok(pushed?),
                }
            })
            .await
    }

    async fn push_from(&self, access: Access<'_>, image: &Push<'_>, sent: Sent<'_>) -> Result<(), RegistryError> {
        stream::iter(&image.blobs)
            .map(|blob| self.push_blob(access, blob, sent))
            .buffer_unordered(PARALLEL)
            .try_collect::<()>()
            .await?;
        for tag in &image.tags {
            self.push_manifest(access, tag, image).await?;
        }
        Ok(())
    }

    async fn push_blob(&self, access: Access<'_>, blob: &Blob, sent: Sent<'_>) -> Result<(), RegistryError> {
        let home = self.home_of(access.repository, blob.digest).await;
        if home.as_ref() != Some(access.repository) && !self.finds(access, blob.digest).await? {
            let is_linked = match &home {
                Some(home) if access.from.contains(home) => self.mount(access, blob, home).await?,
                _ => false,
            };
            if !is_linked {
                self.upload(access, blob, sent).await?;
            }
        }
        sent(blob, blob.size);
        self.remember(access.repository, blob.digest).await;
        Ok(())
    }

    /// A repository of the same registry that is known to have the blob, preferably this one.
    async fn home_of(&self, repository: &Repository, digest: Sha256) -> Option<Repository> {
        let homes = self.homes.lock().await;
        let mut having =
            homes.iter().filter(|(home, blobs)| home.host() == repository.host() && blobs.contains(&digest));
        let first = having.next()?;
        let found = having.find(|(home, _)| home == repository).unwrap_or(first);
        Some(found.0.clone())
    }

    /// Asks again what the repository has.
    async fn forget(&self, repository: &Repository) {
        self.homes.lock().await.retain(|(home, _)| home != repository);
    }

    async fn remember(&self, repository: &Repository, digest: Sha256) {
        let mut homes = self.homes.lock().await;
        match homes.iter_mut().find(|(home, _)| home == repository) {
            Some((_, blobs)) => blobs.push(digest),
            None => homes.push((repository.clone(), vec![digest])),
        }
    }
}
