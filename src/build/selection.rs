use std::collections::{BTreeMap, BTreeSet};

use camino::Utf8Path;
use rayon::prelude::*;

use super::{BuildError, Inputs, Job, Options, Plan, build, recall};
use crate::config::{Project, Recipe};
use crate::lock::{Lock, LockError, path};
use crate::oci::{Image, Layout, LayoutError};
use crate::packages::{Fetching, Surroundings, obtain_for};
use crate::resolve::Wanted;
use crate::store::Store;

/// Images of a project, with all locks of the project: layers depend on what its images share.
#[derive(Debug)]
pub struct Selection {
    project: Project,
    arch: String,
    names: Vec<String>,
    plan: Plan,
    options: Options,
}

impl Selection {
    /// Reads the locks. If no names are given, all images of the project are selected.
    pub fn open(project: Project, arch: String, names: &[String], options: Options) -> Result<Self, BuildError> {
        let all: Vec<String> = project.recipes().map(|recipe| recipe.name.clone()).collect();
        let names = if names.is_empty() { all.clone() } else { names.to_vec() };
        let needed: BTreeSet<String> = all.into_iter().chain(names.iter().cloned()).collect();
        // Images whose feature is off count as well: otherwise, all the others would change when it is turned off or on.
        let listed = project.listed().map(|recipe| recipe.name.as_str());
        let planned: BTreeSet<&str> = listed.chain(needed.iter().map(String::as_str)).collect();
        let lock = |name: &str| {
            let path = path(&project.channel_dir(), &project.recipe(name)?.name, &arch);
            match Lock::read(project.files(), &path) {
                Err(LockError::Missing { .. }) if !needed.contains(name) => Ok(None),
                lock => Ok(Some((name.to_owned(), lock?))),
            }
        };
        let locks = planned.into_par_iter().map(lock).collect::<Result<Vec<_>, BuildError>>()?;
        let locks: BTreeMap<String, Lock> = locks.into_iter().flatten().collect();
        let plan = Plan::new(locks, project.site().layers);
        Ok(Self { project, arch, names, plan, options })
    }

    #[must_use]
    pub fn project(&self) -> &Project {
        &self.project
    }

    /// What determines the bytes of each image.
    pub fn inputs(&self) -> Result<Vec<Inputs<'_>>, BuildError> {
        self.names.par_iter().map(|name| self.inputs_of(self.project.recipe(name)?)).collect()
    }

    /// The images. Those that the store doesn't know are built into it. Not for use inside the runtime.
    pub fn build(&self, surroundings: Surroundings<'_>, fetching: Fetching<'_>) -> Result<Vec<Image>, BuildError> {
        let store = fetching.client.store();
        let inputs = self.inputs()?;
        let known: Vec<Option<Image>> = inputs.iter().map(|inputs| recall(inputs, store)).collect();
        let unknown = inputs.into_iter().zip(&known).filter(|(_, known)| known.is_none()).map(|(inputs, _)| inputs);
        let unknown: Vec<Inputs<'_>> = unknown.collect();
        let made =
            if unknown.is_empty() { Vec::new() } else { build(&self.jobs(unknown, surroundings, fetching)?, store)? };
        let mut made = made.into_iter();
        Ok(known.into_iter().filter_map(|known| known.or_else(|| made.next())).collect())
    }

    /// The inputs with their packages, which are fetched if missing from the store. Not for use inside the runtime.
    pub fn jobs<'a>(
        &self,
        inputs: Vec<Inputs<'a>>,
        surroundings: Surroundings<'_>,
        fetching: Fetching<'_>,
    ) -> Result<Vec<Job<'a>>, BuildError> {
        let locks: Vec<(&Recipe, &Lock)> = inputs.iter().map(|inputs| (inputs.recipe, inputs.lock)).collect();
        let packages = obtain_for(&self.project, &locks, surroundings, fetching)?;
        let jobs = inputs.into_iter().zip(packages);
        Ok(jobs.map(|(inputs, packages)| Job { inputs, packages: packages.into() }).collect())
    }

    /// Puts built images into a layout, which loses those that the project no longer has. It is still locked.
    pub fn write(&self, images: &[Image], layout: &Utf8Path, store: &Store) -> Result<Layout, LayoutError> {
        let layout = Layout::open(layout)?;
        layout.add(images, store)?;
        let known: BTreeSet<&str> = self.project.recipes().map(|recipe| recipe.name.as_str()).collect();
        layout.commit(images, |name| known.contains(name))?;
        Ok(layout)
    }

    /// The project's other images that the store knows.
    #[must_use]
    pub fn others(&self, store: &Store) -> Vec<Image> {
        let others = self.project.recipes().filter(|recipe| !self.names.contains(&recipe.name));
        others.filter_map(|recipe| recall(&self.inputs_of(recipe).ok()?, store)).collect()
    }

    fn inputs_of<'a>(&'a self, recipe: &'a Recipe) -> Result<Inputs<'a>, BuildError> {
        let path = || path(&self.project.channel_dir(), &recipe.name, &self.arch);
        let planned = self.plan.image(&recipe.name).ok_or_else(|| LockError::Missing { path: path() })?;
        if !Wanted::of(&self.project, recipe)?.is_locked_by(&planned.lock) {
            return Err(BuildError::OutOfDate { image: recipe.name.clone() });
        }
        Inputs::new(&self.project, recipe, planned, &self.options)
    }
}
