//! Builds images from their locks: the one place that joins the stages.
//!
//! An image's [`Inputs`] are its lock, recipe, baked files, layer plan and creation time; nothing else determines its
//! bytes. Their hash is the image's *derivation*. If the store knows the derivation, the image is not built again.
//! Otherwise its packages become a tree, the tree becomes layers in the store, and layers and recipe become an image.

mod artifacts;
mod error;
mod inputs;
mod layers;
mod selection;

use rayon::prelude::*;

use crate::apk::package::PackageFiles;
use crate::config::{Directory, FileRule, Link};
use crate::digest::Sha256;
use crate::layer::{self, Draft, Layer};
use crate::lock::{Lock, Place};
use crate::oci::{Artifact, EMPTY_CONFIG, Image, ImageSpec, read_image_at};
use crate::packages::Obtained;
use crate::rootfs::{Additions, ApkState, Merged, PackageId, assemble, check_start};
use crate::store::{Keeper, Question, Store};
use crate::table::Table;

pub use artifacts::artifacts_of;
pub use error::BuildError;
pub use inputs::{Inputs, Options, Plan, PlannedImage};
pub use selection::Selection;

/// An image to build: its inputs, and the packages of its lock, verified in the store.
#[derive(Debug)]
pub struct Job<'a> {
    /// The inputs that determine the image's bytes.
    pub inputs: Inputs<'a>,
    /// Its packages, in install order.
    pub packages: Table<PackageId, Obtained<'a>>,
}

/// Asks for the image with this derivation.
struct ImageOf(Sha256);

impl Question for ImageOf {
    const NAME: &'static str = "image";
    const VERSION: u32 = 4;
    /// Digest of its manifest.
    type Answer = Sha256;

    fn subject(&self) -> Sha256 {
        self.0
    }

    fn refers_to(&self, manifest: &Sha256) -> Vec<Sha256> {
        vec![*manifest]
    }
}

/// The image with these inputs, if the store has it completely.
#[must_use]
pub fn recall(inputs: &Inputs<'_>, store: &Store) -> Option<Image> {
    let manifest = store.recall(&ImageOf(inputs.derivation()))?;
    let image = read_image_at(&|digest| store.path(&digest), &inputs.recipe.name, manifest).ok()?;
    let has_layers = image.layers.par_iter().all(|layer| store.find_sized(&layer.digest, layer.size).is_some());
    (has_layers && artifacts::are_known(store, manifest)).then_some(image)
}

/// Builds images into the store. What several images share is built once.
pub fn build(jobs: &[Job<'_>], store: &Store) -> Result<Vec<Image>, BuildError> {
    let drafted = jobs.par_iter().map(|job| Ok((job, drafts(job)?))).collect::<Result<Vec<_>, BuildError>>()?;
    let keeper = store.keeper()?;
    let mut made = Vec::new();
    for (job, layers) in layers::make(&drafted, &keeper)? {
        made.push((job, describe(job, &layers, &keeper)?));
    }
    keeper.finish()?;
    // Remember images only now that everything they refer to is stored.
    for (job, (image, artifacts)) in &made {
        artifacts::remember(store, image, artifacts)?;
        store.remember(&ImageOf(job.inputs.derivation()), &image.manifest.digest)?;
    }
    Ok(made.into_iter().map(|(_, (image, _))| image).collect())
}

/// Drafts the layers of an image, bottom to top.
pub fn drafts(job: &Job<'_>) -> Result<Vec<Draft>, BuildError> {
    let packages = job.packages.items().par_iter().map(Obtained::files).collect::<Result<Vec<_>, _>>()?;
    Ok(layer::drafts(&merged(&job.inputs, packages)?, job.inputs.groups)?)
}

/// The file tree of an image.
pub fn merged(inputs: &Inputs<'_>, packages: Vec<PackageFiles>) -> Result<Merged, BuildError> {
    let Inputs { recipe, share, lock, .. } = inputs;
    let links: Vec<&Link> = recipe.links.iter().chain(share.iter().flat_map(|share| &share.links)).collect();
    let rules: Vec<&FileRule> = recipe.files.iter().chain(share.iter().flat_map(|share| &share.files)).collect();
    let directories: Vec<&Directory> = recipe.directories.iter().collect();
    let additions = Additions {
        groups: &lock.groups,
        users: &lock.users,
        directories,
        links,
        baked: &inputs.baked,
        rules,
        apk: ApkState { world: &lock.world, repositories: repositories(lock), arch: &lock.arch },
        time: inputs.created.unix().cast_signed(),
    };
    let merged = assemble(packages, &additions)?;
    check_start(&merged, &recipe.name, &recipe.image)?;
    Ok(merged)
}

/// The lines of `etc/apk/repositories`. A repository imported on one machine is of no use in the image.
fn repositories(lock: &Lock) -> Vec<String> {
    let line = |place: &Place| match place {
        Place::Shared { url, tag: None, .. } => Some(url.clone()),
        Place::Shared { url, tag: Some(tag), .. } => Some(format!("@{tag} {url}")),
        Place::Imported(_) => None,
    };
    lock.repositories.iter().filter_map(|repository| line(&repository.place)).collect()
}

/// Creates an image from its layers, with the artifacts about it.
fn describe(job: &Job<'_>, layers: &[Layer], keeper: &Keeper) -> Result<(Image, Vec<Artifact>), BuildError> {
    let Inputs { recipe, lock, created, labels, annotations, .. } = &job.inputs;
    let image = Image::new(&ImageSpec {
        name: &recipe.name,
        description: &recipe.description,
        arch: &lock.arch,
        created: *created,
        config: &recipe.image,
        labels,
        annotations,
        layers,
    })?;
    let artifacts = artifacts::make(&image, lock)?;
    for document in [&image.config.bytes, &image.manifest.bytes, EMPTY_CONFIG] {
        keeper.keep_bytes(document)?;
    }
    for artifact in &artifacts {
        keeper.keep_bytes(&artifact.manifest.bytes)?;
    }
    Ok((image, artifacts))
}
