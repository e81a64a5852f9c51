use std::collections::BTreeSet;

use super::BuildError;
use crate::digest::Sha256;
use crate::lock::{Lock, LockedPackage, Member};
use crate::oci::{Artifact, ArtifactKind, ArtifactLayer, Image, ImageError};
use crate::store::{Question, Store, StoreError};

/// The media type of a package's member.
const MEMBER: &str = "application/gzip";

/// The artifacts about an image built from this lock.
pub(super) fn make(image: &Image, lock: &Lock) -> Result<Vec<Artifact>, BuildError> {
    let packages = Artifact::new(ArtifactKind::Packages, image, &members(lock)).map_err(ImageError::from)?;
    Ok(vec![packages])
}

/// All members of a lock's packages, each once.
fn members(lock: &Lock) -> Vec<ArtifactLayer> {
    let of_package = |package: &LockedPackage| {
        let file = &package.file;
        let member = |member: &Member, part: &str| ArtifactLayer {
            media_type: MEMBER,
            digest: member.sha256,
            size: member.size,
            title: format!("{file}, {part}"),
        };
        let signatures = package.signatures.iter().map(|it| member(it, "signature")).collect::<Vec<_>>();
        signatures.into_iter().chain([member(&package.control, "control"), member(&package.data, "data")])
    };
    let mut seen = BTreeSet::new();
    lock.packages.iter().flat_map(of_package).filter(|member| seen.insert(member.digest)).collect()
}

/// Asks for the artifacts about the image with this digest.
struct ArtifactsOf(Sha256);

impl Question for ArtifactsOf {
    const NAME: &'static str = "artifacts";
    const VERSION: u32 = 1;
    /// Digests of their manifests.
    type Answer = Vec<Sha256>;

    fn subject(&self) -> Sha256 {
        self.0
    }

    fn refers_to(&self, manifests: &Vec<Sha256>) -> Vec<Sha256> {
        [&[self.0], manifests.as_slice()].concat()
    }
}

/// Remembers the artifacts about an image. Their manifests are in the store.
pub(super) fn remember(store: &Store, image: &Image, artifacts: &[Artifact]) -> Result<(), StoreError> {
    let manifests = artifacts.iter().map(|artifact| artifact.manifest.digest).collect();
    store.remember(&ArtifactsOf(image.manifest.digest), &manifests)
}

/// Whether the store has the artifacts about the image with this digest. Reads none of them: they are long.
pub(super) fn are_known(store: &Store, image: Sha256) -> bool {
    let manifests = store.recall(&ArtifactsOf(image));
    manifests.is_some_and(|manifests| manifests.iter().all(|digest| store.find(digest).is_some()))
}

/// The artifacts about the image with this digest, if the image was built into the store.
#[must_use]
pub fn artifacts_of(store: &Store, image: Sha256) -> Option<Vec<Artifact>> {
    let manifests = store.recall(&ArtifactsOf(image))?;
    manifests.into_iter().map(|digest| Artifact::read(&store.find(&digest)?, digest).ok()).collect()
}
