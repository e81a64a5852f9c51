//! Pushes built images and their packages to a registry.

mod meter;

use camino::Utf8Path;

use crate::build::artifacts_of;
use crate::oci::{self, Artifact, Built, Document, Image, ImagesError, read_image};
use crate::progress::Progress;
use crate::registry::{Blob, Client, Prefix, Push, RegistryError, Repository, Tag, TagError};
use crate::store::Store;

use meter::Meter;

/// What to push, and where to.
#[derive(Debug, Clone, Copy)]
pub struct Order<'a> {
    /// The layout that has the images.
    pub layout: &'a Utf8Path,
    pub images: &'a [Built],
    pub prefix: &'a Prefix,
    /// Tags besides the one that each image gets from its digest.
    pub tags: &'a [Tag],
    /// The store that has the artifacts about the images. Without it none are pushed.
    pub artifacts: Option<&'a Store>,
}

/// A pushed image.
#[derive(Debug)]
pub struct Pushed<'a> {
    pub image: &'a Built,
    /// Its tags in the registry.
    pub tags: &'a [Tag],
    /// What happened to its artifacts.
    pub artifacts: Artifacts,
}

/// What happened to the artifacts about an image: its packages, from which it can be built again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Artifacts {
    /// The registry has them.
    Kept,
    /// They were not requested.
    NotWanted,
    /// The store doesn't have all of them.
    NotInStore,
    /// The registry doesn't accept them.
    Refused(String),
}

/// Why a push failed.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// The images can't be read.
    #[error(transparent)]
    Images(#[from] ImagesError),
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

impl From<TagError> for PushError {
    fn from(error: TagError) -> Self {
        Self::Registry(error.into())
    }
}

/// An image and its artifacts.
struct Ready<'a> {
    built: &'a Built,
    repository: Repository,
    image: Image,
    artifacts: Option<Vec<Artifact>>,
}

/// Pushes images in sequence, each followed by its artifacts. `pushed` is called for each pushed image.
///
/// A registry that accepts only images is not a failure; it isn't asked again.
pub async fn push<E: From<PushError>>(
    order: Order<'_>,
    client: &Client,
    progress: &dyn Progress,
    mut pushed: impl FnMut(Pushed<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let ready = order.images.iter().map(|built| read(order, built)).collect::<Result<Vec<_>, _>>()?;
    let mut jobs = Vec::new();
    for image in &ready {
        jobs.push((image.built, &image.repository, image.push(order)?, image.artifacts(order)?));
    }
    let meter = Meter::new(
        progress,
        jobs.iter().flat_map(|(_, _, push, artifacts)| {
            push.blobs.iter().chain(artifacts.iter().flatten().flat_map(|artifact| &artifact.blobs))
        }),
    );
    let mut refused = None;
    for (image, repository, push, artifacts) in &jobs {
        meter.image(&image.name);
        let sent = |blob: &Blob, bytes| meter.sent(blob, bytes);
        client.push(repository, push, &sent).await.map_err(PushError::from)?;
        let artifacts = match (artifacts, &refused) {
            _ if order.artifacts.is_none() => Artifacts::NotWanted,
            (None, _) => Artifacts::NotInStore,
            (Some(_), Some(reason)) => Artifacts::Refused(String::clone(reason)),
            (Some(artifacts), None) => push_artifacts(client, repository, artifacts, &sent).await?,
        };
        if let Artifacts::Refused(reason) = &artifacts {
            refused = Some(reason.clone());
        }
        pushed(Pushed { image, tags: &push.tags, artifacts })?;
    }
    Ok(())
}

fn read<'a>(order: Order<'_>, built: &'a Built) -> Result<Ready<'a>, PushError> {
    let repository = order.prefix.repository(&built.name)?;
    let image = read_image(order.layout, &built.name, built.digest)?;
    let artifacts = order.artifacts.and_then(|store| artifacts_of(store, built.digest));
    Ok(Ready { built, repository, image, artifacts })
}

impl Ready<'_> {
    fn push(&self, order: Order<'_>) -> Result<Push<'_>, PushError> {
        let blob = |digest, size| Blob { digest, size, path: oci::blob_path(order.layout, digest) };
        let Document { digest, bytes } = &self.image.config;
        let config = blob(*digest, bytes.len() as u64);
        let tag: Tag = oci::tag(self.built.digest).parse()?;
        Ok(Push {
            blobs: self.image.layers.iter().map(|layer| blob(layer.digest, layer.size)).chain([config]).collect(),
            media_type: oci::MANIFEST,
            manifest: &self.image.manifest.bytes,
            tags: [tag].into_iter().chain(order.tags.iter().cloned()).collect(),
        })
    }

    /// The artifacts to push, if the store has all of them.
    fn artifacts(&self, order: Order<'_>) -> Result<Option<Vec<Push<'_>>>, PushError> {
        let (Some(store), Some(artifacts)) = (order.artifacts, &self.artifacts) else { return Ok(None) };
        let pushes = artifacts.iter().map(|artifact| artifact_push(store, artifact));
        Ok(pushes.collect::<Result<Option<Vec<_>>, _>>()?.filter(|pushes| !pushes.is_empty()))
    }
}

fn artifact_push<'a>(store: &Store, artifact: &'a Artifact) -> Result<Option<Push<'a>>, PushError> {
    let blob = |&(digest, size): &(_, _)| Some(Blob { digest, size, path: store.find_sized(&digest, size)? });
    let Some(blobs) = artifact.blobs.iter().map(blob).collect() else { return Ok(None) };
    let tags = vec![artifact.tag().parse()?];
    Ok(Some(Push { blobs, media_type: oci::MANIFEST, manifest: &artifact.manifest.bytes, tags }))
}

async fn push_artifacts(
    client: &Client,
    repository: &Repository,
    artifacts: &[Push<'_>],
    sent: &(dyn Fn(&Blob, u64) + Sync),
) -> Result<Artifacts, PushError> {
    for artifact in artifacts {
        match client.push(repository, artifact, sent).await {
            Ok(()) => {}
            Err(error) if error.is_refusal() => return Ok(Artifacts::Refused(error.to_string())),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Artifacts::Kept)
}
