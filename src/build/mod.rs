//! An image from its lock: the one place that joins the stages.
//!
//! Packages and baked files become a tree, the tree becomes layers in the store, layers and the recipe become an image.
//! Nothing but the lock, the recipe, the baked files and the time of creation decides the bytes.

mod error;

use std::io;

use rayon::prelude::*;

use crate::config::{BakedFile, Directory, FileRule, Link, Project, Recipe, bake};
use crate::layer::{self, Layer, LayerPlan};
use crate::lock::{Lock, Obtained, Place};
use crate::oci::{Image, ImageSpec};
use crate::rootfs::{Additions, ApkState, Tree, assemble};
use crate::store::{Incoming, Store};
use crate::timestamp::Timestamp;

pub use error::BuildError;

/// Largest layer, compressed.
const LAYER_LIMIT: u64 = 64 << 30;

/// An image's own inputs.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// The project.
    pub project: &'a Project,
    /// The image's recipe.
    pub recipe: &'a Recipe,
    /// The image's lock.
    pub lock: &'a Lock,
    /// The lock's packages in the store, checked.
    pub packages: &'a [Obtained<'a>],
    /// When the image says that it was made; by default when its newest package was.
    pub created: Option<Timestamp>,
}

/// Builds an image. Its layers are in the store then.
pub fn build(inputs: &Inputs<'_>, store: &Store) -> Result<Image, BuildError> {
    let Inputs { recipe, lock, .. } = inputs;
    let created = inputs.created.unwrap_or_else(|| lock.newest());
    let tree = tree(inputs, created)?;
    let plan = layer::plan(&tree);
    let layers = plan.layers.par_iter().map(|layer| write_layer(&tree, layer, inputs.packages, store));
    let layers = layers.collect::<Result<Vec<_>, _>>()?;
    let spec = ImageSpec {
        name: &recipe.name,
        description: &recipe.description,
        arch: &lock.arch,
        created,
        config: &recipe.image,
        layers: &layers,
    };
    Ok(Image::new(&spec)?)
}

/// The file tree of an image.
pub fn tree(inputs: &Inputs<'_>, created: Timestamp) -> Result<Tree, BuildError> {
    let Inputs { project, recipe, lock, .. } = inputs;
    let share = project.channel_of(recipe)?;
    let baked: Vec<BakedFile> = bake(project, recipe)?;
    let packages = inputs.packages.par_iter().map(Obtained::files).collect::<Result<Vec<_>, _>>()?;
    let links: Vec<&Link> = recipe.links.iter().chain(share.iter().flat_map(|share| &share.links)).collect();
    let rules: Vec<&FileRule> = recipe.files.iter().chain(share.iter().flat_map(|share| &share.files)).collect();
    let directories: Vec<&Directory> = recipe.directories.iter().collect();
    let additions = Additions {
        groups: &lock.groups,
        users: &lock.users,
        directories,
        links,
        baked: &baked,
        rules,
        apk: ApkState { world: &lock.world, repositories: repositories(lock), arch: &lock.arch },
        time: created.unix(),
    };
    Ok(assemble(&packages, &additions)?)
}

/// Lines of `etc/apk/repositories`. What was imported on one machine is of no use in the image.
fn repositories(lock: &Lock) -> Vec<String> {
    let line = |place: &Place| match place {
        Place::Shared { url, tag: None, .. } => Some(url.clone()),
        Place::Shared { url, tag: Some(tag), .. } => Some(format!("@{tag} {url}")),
        Place::Imported(_) => None,
    };
    lock.repositories.iter().filter_map(|repository| line(&repository.place)).collect()
}

fn write_layer(tree: &Tree, plan: &LayerPlan, packages: &[Obtained<'_>], store: &Store) -> Result<Layer, BuildError> {
    let open = |position: usize| {
        let package = packages.get(position).ok_or(io::ErrorKind::NotFound)?;
        package.data().map_err(io::Error::other)
    };
    let mut incoming = store.incoming(LAYER_LIMIT)?;
    let layer = layer::write(tree, plan, open, ToStore(&mut incoming))?;
    incoming.finish(Some(layer.digest))?;
    Ok(layer)
}

/// Writes into a file that is coming into the store.
struct ToStore<'a>(&'a mut Incoming);

impl io::Write for ToStore<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.0.write(buffer).map_err(io::Error::other)?;
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
