//! Images from their locks, for commands that build or describe them.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;

use rayon::prelude::*;
use serde_json::{Value, json};

use super::exit::Exit;
use super::locked::{Locked, LockedArgs};
use super::{Context, Failure};
use crate::build::{Inputs, Job, Options, Plan, build, recall};
use crate::config::{Project, Recipe, parse_label};
use crate::lock::{Lock, LockError};
use crate::oci::Image;
use crate::resolve::Wanted;
use crate::store::Store;
use crate::timestamp::Timestamp;

/// The images that a command uses.
#[derive(Debug, clap::Args)]
pub(super) struct ImageArgs {
    /// The images [default: all images in mailimg.toml]
    images: Vec<String>,
    /// Set a label of the images' configuration, over the recipe's; can be given several times
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = parse_label)]
    labels: Vec<(String, String)>,
    /// Set an annotation of the images' manifests, over the recipe's; can be given several times
    #[arg(long = "annotation", value_name = "KEY=VALUE", value_parser = parse_label)]
    annotations: Vec<(String, String)>,
    #[command(flatten)]
    locked: LockedArgs,
}

/// Those images, and all locks of their project: layers depend on what images share.
#[derive(Debug)]
pub(super) struct Selection {
    locked: Locked,
    names: Vec<String>,
    plan: Plan,
    options: Options,
}

impl ImageArgs {
    pub(super) fn open(&self, context: &Context) -> Result<Selection, Failure> {
        let locked = self.locked.open(context)?;
        let all = || locked.project.recipes().map(|recipe| recipe.name.clone());
        let names: Vec<String> = if self.images.is_empty() { all().collect() } else { self.images.clone() };
        let needed: BTreeSet<String> = all().chain(names.iter().cloned()).collect();
        let lock = |name: String| Ok((locked.lock(locked.project.recipe(&name)?)?, name));
        let locks = needed.into_par_iter().map(lock).collect::<Result<Vec<_>, Failure>>()?;
        let locks: BTreeMap<String, Lock> = locks.into_iter().map(|(lock, name)| (name, lock)).collect();
        let plan = Plan::new(locks, locked.project.site().layers);
        Ok(Selection { names, plan, options: self.options()?, locked })
    }

    fn options(&self) -> Result<Options, Failure> {
        let entries = |entries: &[(String, String)]| entries.iter().cloned().collect();
        let created = source_date_epoch()?;
        Ok(Options { created, labels: entries(&self.labels), annotations: entries(&self.annotations) })
    }

    /// The images. Unknown ones are built into the store.
    pub(super) fn build(&self, selection: &Selection, store: &Store, context: &Context) -> Result<Vec<Image>, Failure> {
        let inputs = selection.inputs()?;
        let known: Vec<Option<Image>> = inputs.iter().map(|inputs| recall(inputs, store)).collect();
        let unknown = inputs.into_iter().zip(&known).filter(|(_, known)| known.is_none()).map(|(inputs, _)| inputs);
        let unknown: Vec<Inputs<'_>> = unknown.collect();
        let made =
            if unknown.is_empty() { Vec::new() } else { build(&self.jobs(unknown, selection, context)?, store)? };
        let mut made = made.into_iter();
        Ok(known.into_iter().filter_map(|known| known.or_else(|| made.next())).collect())
    }

    /// The inputs with their packages, which are fetched if missing from the store.
    pub(super) fn jobs<'a>(
        &self,
        inputs: Vec<Inputs<'a>>,
        selection: &Selection,
        context: &Context,
    ) -> Result<Vec<Job<'a>>, Failure> {
        let locks: Vec<(&Recipe, &Lock)> = inputs.iter().map(|inputs| (inputs.recipe, inputs.lock)).collect();
        let packages = self.locked.obtain(&locks, selection.project(), context)?;
        Ok(inputs
            .into_iter()
            .zip(packages)
            .map(|(inputs, packages)| Job { inputs, packages: packages.into() })
            .collect())
    }
}

impl Selection {
    pub(super) fn project(&self) -> &Project {
        &self.locked.project
    }

    /// What determines the bytes of each image.
    pub(super) fn inputs(&self) -> Result<Vec<Inputs<'_>>, Failure> {
        self.names.par_iter().map(|name| self.inputs_of(self.project().recipe(name)?)).collect()
    }

    /// The project's other images that the store knows.
    pub(super) fn others(&self, store: &Store) -> Vec<Image> {
        let others = self.project().recipes().filter(|recipe| !self.names.contains(&recipe.name));
        others.filter_map(|recipe| recall(&self.inputs_of(recipe).ok()?, store)).collect()
    }

    fn inputs_of<'a>(&'a self, recipe: &'a Recipe) -> Result<Inputs<'a>, Failure> {
        let planned = self.plan.image(&recipe.name);
        let planned = planned.ok_or_else(|| LockError::Missing { path: self.locked.path(recipe) })?;
        check_current(self.project(), recipe, &planned.lock)?;
        Ok(Inputs::new(self.project(), recipe, planned, &self.options)?)
    }
}

/// Rejects a lock that doesn't match its recipe.
fn check_current(project: &Project, recipe: &Recipe, lock: &Lock) -> Result<(), Failure> {
    let wanted = Wanted::of(project, recipe)?;
    let same = wanted.world == lock.world && wanted.groups == lock.groups && wanted.users == lock.users;
    if same {
        return Ok(());
    }
    let message = format!("the lock of {} is out of date: its recipe's world or accounts have changed", recipe.name);
    Err(Failure::new(Exit::Usage, &std::io::Error::other(message)).hint("run `mailimg lock` and review the changes"))
}

/// The time that images say they were made at, from the environment. Make and CI systems pass an empty variable for one
/// that isn't set.
fn source_date_epoch() -> Result<Option<Timestamp>, Failure> {
    let value = std::env::var_os("SOURCE_DATE_EPOCH").filter(|value| !value.is_empty());
    let read = |value: OsString| {
        let text = value.to_string_lossy();
        let seconds = if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None };
        let time = seconds.and_then(Timestamp::try_from_unix);
        time.ok_or_else(|| {
            let message = format!("SOURCE_DATE_EPOCH is {text:?}, which is not a number of seconds since 1970");
            Failure::told(Exit::Usage, message)
                .hint("unset it, or set it as in `SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)`")
        })
    };
    value.map(read).transpose()
}

/// Names and digests for people, one line per image.
pub(super) fn lines(images: &[Image]) -> String {
    let line = |image: &Image| format!("{} {}\n", image.name, image.manifest.digest.to_oci());
    images.iter().map(line).collect()
}

/// An image for programs.
pub(super) fn object(image: &Image) -> Value {
    let layers = image
        .layers
        .iter()
        .map(|layer| json!({ "digest": layer.digest.to_oci(), "diff_id": layer.diff_id.to_oci(), "size": layer.size }));
    json!({
        "image": image.name,
        "arch": image.platform.arch,
        "digest": image.manifest.digest.to_oci(),
        "config": image.config.digest.to_oci(),
        "layers": layers.collect::<Vec<_>>(),
        "size": image.layers.iter().map(|layer| layer.size).sum::<u64>(),
    })
}
