use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};

use super::make::{Order, make};
use super::offer::Offer;
use super::regress::refuse_going_back;
use super::{Regression, ResolveError, Wanted};
use crate::config::{Files, Project, Recipe};
use crate::lock::{Change, Lock, LockError, across, changes, path};
use crate::packages::{Fetching, Sources};
use crate::progress::Progress;

/// What to lock, and how.
#[derive(Debug, Clone, Copy)]
pub struct Task<'a> {
    pub project: &'a Project,
    pub arch: &'a str,
    /// The images to lock; if empty, all of the project.
    pub images: &'a [String],
    /// The packages to update, if all others should keep their versions; if empty, all are updated.
    pub update: &'a [String],
    /// Where the channel's repositories are.
    pub sources: &'a Sources,
    /// A directory with the channel's key files, instead of where the channel has them.
    pub keys: Option<&'a Utf8Path>,
    /// Whether an index or packages may be older than the locked ones.
    pub allow_downgrade: bool,
}

/// The old and the new lock of an image.
#[derive(Debug)]
pub struct Outcome {
    pub image: String,
    /// Where the lock belongs.
    pub path: Utf8PathBuf,
    /// None if there is none yet, or if it can't be read.
    pub old: Option<Lock>,
    pub new: Lock,
    /// What the new lock changes; none if there is no old one.
    pub changes: Option<Vec<Change>>,
}

impl Outcome {
    fn new(recipe: &Recipe, path: Utf8PathBuf, old: Option<Lock>, new: Lock) -> Self {
        let changes = old.as_ref().map(|old| changes(old, &new));
        Self { image: recipe.name.clone(), path, old, new, changes }
    }

    /// Whether the new lock should be written.
    #[must_use]
    pub fn is_outdated(&self) -> bool {
        self.changes.as_ref().is_none_or(|changes| !changes.is_empty())
    }
}

/// Makes the locks of images from the current state of their channel. Writes none of them.
///
/// Not for use inside the runtime.
pub fn lock(task: Task<'_>, fetching: Fetching<'_>) -> Result<Vec<Outcome>, ResolveError> {
    let Task { project, arch, sources, keys, .. } = task;
    let recipes = recipes(task)?;
    let wanted = recipes.iter().map(|recipe| Wanted::of(project, recipe)).collect::<Result<Vec<_>, _>>()?;
    let paths: Vec<_> = recipes.iter().map(|recipe| path(&project.channel_dir(), &recipe.name, arch)).collect();
    let old =
        paths.iter().map(|path| old_lock(project.files(), path, fetching.progress)).collect::<Result<Vec<_>, _>>()?;
    let update = updates(task.update, &old)?;
    let orders: Vec<_> = wanted
        .into_iter()
        .zip(&old)
        .map(|(wanted, old)| Order { wanted, old: old.as_ref(), update: update.as_ref() })
        .collect();
    let offer = Offer::open(project.channel(), arch, sources, keys, fetching)?;
    let new = make(&offer, &orders, fetching)?;
    drop(orders);
    let before = recipes.iter().zip(paths).zip(old);
    let outcomes: Vec<Outcome> =
        before.zip(new).map(|(((recipe, path), old), new)| Outcome::new(recipe, path, old, new)).collect();
    if !task.allow_downgrade {
        refuse_regressions(&outcomes)?;
    }
    Ok(outcomes)
}

fn refuse_regressions(outcomes: &[Outcome]) -> Result<(), Regression> {
    let mut known = outcomes.iter().filter_map(|outcome| Some((outcome, outcome.old.as_ref()?)));
    known.try_for_each(|(outcome, old)| refuse_going_back(old, &outcome.new, &outcome.image))
}

/// The changes of all locks that there were, each once, with the names of the images whose locks it is in.
#[must_use]
pub fn all_changes(outcomes: &[Outcome]) -> Vec<(Change, Vec<&str>)> {
    across(outcomes.iter().filter_map(|outcome| Some((outcome.image.as_str(), outcome.changes.clone()?))))
}

fn recipes(Task { project, images, .. }: Task<'_>) -> Result<Vec<&Recipe>, ResolveError> {
    if images.is_empty() {
        return Ok(project.recipes().collect());
    }
    Ok(images.iter().map(|name| project.recipe(name)).collect::<Result<_, _>>()?)
}

/// The old lock. If it is malformed it is replaced.
fn old_lock(files: &Files, path: &Utf8Path, progress: &dyn Progress) -> Result<Option<Lock>, LockError> {
    match Lock::read(files, path) {
        Ok(lock) => Ok(Some(lock)),
        Err(LockError::Missing { .. }) => Ok(None),
        Err(error @ LockError::Parse { .. }) => {
            progress.warn(&format!("{error}; it will be replaced"));
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// The packages to update, if not all of them. Each must be in an old lock.
fn updates(names: &[String], old: &[Option<Lock>]) -> Result<Option<BTreeSet<String>>, ResolveError> {
    let unknown = |name: &&String| !old.iter().flatten().any(|lock| lock.package(name).is_some());
    match names.iter().find(unknown) {
        Some(name) => Err(ResolveError::NotLocked { name: name.clone() }),
        None => Ok(Some(names.iter().cloned().collect()).filter(|names: &BTreeSet<_>| !names.is_empty())),
    }
}
