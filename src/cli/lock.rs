use std::collections::BTreeSet;

use camino::Utf8PathBuf;
use similar::TextDiff;

use super::channel::ChannelArgs;
use super::exit::Exit;
use super::{Context, Failure};
use crate::config::{Project, Recipe};
use crate::fetch::{Client, Settings};
use crate::lock::{Change, Lock, LockError, across, changes, path};
use crate::packages::{Fetching, Sources, Surroundings};
use crate::resolve::{Offer, Order, ResolveError, Wanted, refuse_going_back};
use crate::store::write_atomic;

#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Resolves each image's packages against the current state of the channel's repositories, fetches them, verifies their \
signatures, and writes apk-locks/CHANNEL/IMAGE.ARCH.lock for review. Package scripts are never run: if the channel's \
scripts.toml has no rule for a script, the command fails.")]
pub(super) struct Args {
    /// The images to lock [default: all images in mailimg.toml]
    images: Vec<String>,
    /// Write nothing; if a lock is out of date, print what would change and exit with 1
    #[arg(long)]
    check: bool,
    /// Like --check, but print the changes as a patch of the lock files
    #[arg(long)]
    diff: bool,
    /// Update only these packages and, where necessary, what they depend on. All others keep their versions as long as
    /// a repository has them
    #[arg(long, value_name = "PKG", num_args = 1..)]
    update: Vec<String>,
    #[command(flatten)]
    channel: ChannelArgs,
    /// Read key files from this directory. Only keys with a fingerprint listed in the channel are trusted
    #[arg(long, value_name = "DIR")]
    keys_dir: Option<Utf8PathBuf>,
    /// Accept an index or packages older than the locked ones
    #[arg(long)]
    allow_downgrade: bool,
}

/// A lock before and after.
struct Outcome {
    image: String,
    path: Utf8PathBuf,
    old: Option<Lock>,
    new: Lock,
}

impl Outcome {
    /// What changes; nothing if there is no lock yet.
    fn changes(&self) -> Option<Vec<Change>> {
        Some(changes(self.old.as_ref()?, &self.new))
    }

    fn is_outdated(&self) -> bool {
        self.changes().is_none_or(|changes| !changes.is_empty())
    }
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let (project, arch) = args.channel.open(context)?;
    let outcomes = resolve(args, &project, &arch, context)?;
    if !args.allow_downgrade {
        for Outcome { image, old, new, .. } in &outcomes {
            old.as_ref().map_or(Ok(()), |old| refuse_going_back(old, new, image))?;
        }
    }
    let outdated: Vec<_> = outcomes.iter().filter(|outcome| outcome.is_outdated()).collect();
    if args.diff {
        let patches: String = outdated.iter().map(|outcome| patch(outcome, &project)).collect();
        context.ui().write(patches.as_bytes())?;
    } else {
        show(&outcomes, context)?;
    }
    if args.check || args.diff {
        return if outdated.is_empty() { Ok(()) } else { Err(out_of_date(outdated.len())) };
    }
    for Outcome { image, path, new, .. } in outdated {
        write_atomic(path, new.to_string(), 0o644)?;
        context.ui().status(format!("{image}: wrote {path}"));
    }
    Ok(())
}

fn resolve(args: &Args, project: &Project, arch: &str, context: &Context) -> Result<Vec<Outcome>, Failure> {
    let recipes = recipes(args, project)?;
    let wanted = recipes.iter().map(|recipe| Wanted::of(project, recipe)).collect::<Result<Vec<_>, _>>()?;
    let paths: Vec<_> = recipes.iter().map(|recipe| path(&project.channel_dir(), &recipe.name, arch)).collect();
    let old = paths.iter().map(|path| old_lock(path, context)).collect::<Result<Vec<_>, Failure>>()?;
    let update = updates(args, &old)?;

    let (overrides, cache) = (args.channel.overrides(), context.cache_dir()?);
    let surroundings = Surroundings { base: project.root(), cache: &cache, overrides: &overrides };
    let sources = Sources::of_channel(project.channel(), surroundings)?;
    let client = Client::new(context.store()?, Settings::default());
    let orders: Vec<_> = wanted
        .into_iter()
        .zip(&old)
        .map(|(wanted, old)| Order { wanted, old: old.as_ref(), update: update.as_ref() })
        .collect();
    let keys = args.keys_dir.as_deref();
    let fetching = Fetching { client: &client, runtime: context.runtime()?, progress: context.ui() };
    let offer = Offer::open(project.channel(), arch, &sources, keys, fetching)?;
    let new = crate::resolve::make(&offer, &orders, fetching)?;
    drop(orders);
    let names = recipes.iter().map(|recipe| recipe.name.clone());
    let outcome = |(((image, path), old), new)| Outcome { image, path, old, new };
    Ok(names.zip(paths).zip(old).zip(new).map(outcome).collect())
}

fn recipes<'a>(args: &Args, project: &'a Project) -> Result<Vec<&'a Recipe>, Failure> {
    if args.images.is_empty() {
        return Ok(project.recipes().collect());
    }
    Ok(args.images.iter().map(|name| project.recipe(name)).collect::<Result<_, _>>()?)
}

/// The old lock. If it can't be read it is replaced, unless its packages should keep their versions.
fn old_lock(path: &camino::Utf8Path, context: &Context) -> Result<Option<Lock>, Failure> {
    match Lock::read(path) {
        Ok(lock) => Ok(Some(lock)),
        Err(LockError::Missing { .. }) => Ok(None),
        Err(error @ LockError::Parse { .. }) => {
            context.ui().warning(format!("{error}; it will be replaced"));
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

fn updates(args: &Args, old: &[Option<Lock>]) -> Result<Option<BTreeSet<String>>, Failure> {
    let unknown = |name: &&String| !old.iter().flatten().any(|lock| lock.package(name).is_some());
    match args.update.iter().find(unknown) {
        Some(name) => Err(ResolveError::NotLocked { name: name.clone() }.into()),
        None if args.update.is_empty() => Ok(None),
        None => Ok(Some(args.update.iter().cloned().collect())),
    }
}

/// All changes, each once, and then what became of each image's lock.
fn show(outcomes: &[Outcome], context: &Context) -> Result<(), Failure> {
    let locked: Vec<_> =
        outcomes.iter().filter_map(|outcome| Some((outcome.image.as_str(), outcome.changes()?))).collect();
    let count = locked.len();
    for (change, images) in across(locked) {
        let only = if images.len() < count { format!("  [{}]", images.join(", ")) } else { String::new() };
        context.ui().line(format!("{change}{only}"))?;
    }
    for outcome in outcomes {
        let changed = match outcome.changes().map(|changes| changes.len()) {
            None => "locked for the first time".to_owned(),
            Some(0) => "no changes".to_owned(),
            Some(1) => "1 change".to_owned(),
            Some(count) => format!("{count} changes"),
        };
        context.ui().line(format!("{}: {} packages, {changed}", outcome.image, outcome.new.packages.len()))?;
    }
    Ok(())
}

/// The change of a lock as a patch for `git apply` in the project.
fn patch(outcome: &Outcome, project: &Project) -> String {
    let Outcome { path, old, new, .. } = outcome;
    let path = path.strip_prefix(project.root()).unwrap_or(path);
    let before = old.as_ref().map(ToString::to_string).unwrap_or_default();
    let header = if old.is_some() { format!("a/{path}") } else { "/dev/null".to_owned() };
    let after = new.to_string();
    TextDiff::from_lines(&before, &after).unified_diff().header(&header, &format!("b/{path}")).to_string()
}

fn out_of_date(count: usize) -> Failure {
    let error = std::io::Error::other(match count {
        1 => "1 lock is out of date".to_owned(),
        _ => format!("{count} locks are out of date"),
    });
    Failure::new(Exit::No, &error).hint("update them with `mailimg lock`")
}
