use std::collections::BTreeMap;

use serde_json::json;

use super::BuildError;
use crate::config::{BakedFile, Contents, Project, Recipe, RecipeChannel, bake};
use crate::digest::Sha256;
use crate::layer::{self, ASSEMBLY_VERSION, Group, Packed};
use crate::lock::{Lock, LockedPackage};
use crate::rootfs::PackageId;
use crate::table::{Id as _, Table};
use crate::timestamp::Timestamp;

/// All images of a project by name, and which of their packages share a layer.
#[derive(Debug, Clone)]
pub struct Plan(BTreeMap<String, PlannedImage>);

/// An image's lock, and which of its packages share a layer.
#[derive(Debug, Clone)]
pub struct PlannedImage {
    pub lock: Lock,
    /// Its packages by layer, bottom to top.
    pub groups: Vec<Group>,
}

/// The options of a build that don't come from the project.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// When the images say that they were made; without it, when their newest packages were.
    pub created: Option<Timestamp>,
    /// Labels that go over the recipes'.
    pub labels: BTreeMap<String, String>,
    /// Annotations that go over the recipes'.
    pub annotations: BTreeMap<String, String>,
}

/// All that decides an image's bytes.
#[derive(Debug)]
pub struct Inputs<'a> {
    pub recipe: &'a Recipe,
    /// The recipe's section for the project's channel.
    pub share: Option<&'a RecipeChannel>,
    pub lock: &'a Lock,
    /// The lock's packages by layer, bottom to top.
    pub groups: &'a [Group],
    /// The files to bake, rendered.
    pub baked: Vec<BakedFile>,
    /// The creation time that the image states.
    pub created: Timestamp,
    /// Labels besides those that every image has.
    pub labels: BTreeMap<String, String>,
    /// Annotations besides those that every image has.
    pub annotations: BTreeMap<String, String>,
    derivation: Sha256,
}

impl Plan {
    /// Plans the layers of all images of a project, given with their locks: what one image's layers are depends on what
    /// the others share with it, even where it is built alone.
    #[must_use]
    pub fn new(locks: BTreeMap<String, Lock>, budget: u32) -> Self {
        let packed = locks.iter().map(|(name, lock)| (name.clone(), packed(lock))).collect();
        let plan = layer::Plan::new(&packed, budget as usize);
        let planned = |(name, lock): (String, Lock)| {
            let groups = plan.groups(&name, &self::packed(&lock));
            (name, PlannedImage { lock, groups })
        };
        Self(locks.into_iter().map(planned).collect())
    }

    #[must_use]
    pub fn image(&self, name: &str) -> Option<&PlannedImage> {
        self.0.get(name)
    }
}

/// The recipe's entries, with others over them.
fn with(recipe: &BTreeMap<String, String>, others: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut all = recipe.clone();
    all.extend(others.clone());
    all
}

/// What decides which layers the packages of a lock are in.
fn packed(lock: &Lock) -> Table<PackageId, Packed> {
    let package = |package: &LockedPackage| Packed {
        name: package.name.clone(),
        digest: package.data.sha256,
        size: package.data.size,
    };
    lock.packages.iter().map(package).collect()
}

impl<'a> Inputs<'a> {
    /// Renders the image's files and hashes all inputs.
    pub fn new(
        project: &Project,
        recipe: &'a Recipe,
        planned: &'a PlannedImage,
        options: &Options,
    ) -> Result<Self, BuildError> {
        let share = project.channel_of(recipe)?;
        let baked = bake(project, recipe)?;
        let PlannedImage { lock, groups } = planned;
        let created = options.created.unwrap_or_else(|| lock.newest());
        let labels = with(&recipe.image.labels, &options.labels);
        let annotations = with(&recipe.image.annotations, &options.annotations);
        let derivation = Sha256::of(b"");
        let mut inputs = Self { recipe, share, lock, groups, baked, created, labels, annotations, derivation };
        inputs.derivation = inputs.hash()?;
        Ok(inputs)
    }

    /// The hash of all inputs: images with the same derivation are identical.
    #[must_use]
    pub fn derivation(&self) -> Sha256 {
        self.derivation
    }

    fn hash(&self) -> Result<Sha256, BuildError> {
        let baked = |file: &BakedFile| match &file.contents {
            Contents::File { mode, bytes } => json!([file.path, mode, Sha256::of(bytes)]),
            Contents::Link { target } => json!([file.path, target]),
        };
        let group = |group: &Group| {
            json!([group.packages.iter().map(|package| package.number()).collect::<Vec<_>>(), group.images])
        };
        let inputs = json!({
            "assembly": ASSEMBLY_VERSION,
            "lock": Sha256::of(self.lock.to_string()),
            "name": self.recipe.name,
            "description": self.recipe.description,
            "image": self.recipe.image,
            "labels": self.labels,
            "annotations": self.annotations,
            "directories": self.recipe.directories,
            "links": [Some(&self.recipe.links), self.share.map(|share| &share.links)],
            "files": [Some(&self.recipe.files), self.share.map(|share| &share.files)],
            "baked": self.baked.iter().map(baked).collect::<Vec<_>>(),
            "groups": self.groups.iter().map(group).collect::<Vec<_>>(),
            "created": self.created.unix(),
        });
        Ok(Sha256::of(serde_json::to_vec(&inputs)?))
    }
}
