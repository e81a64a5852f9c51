use camino::Utf8PathBuf;
use serde_json::{Value, json};
use similar::TextDiff;

use super::channel::ChannelArgs;
use super::exit::Exit;
use super::{Context, Failure, complete};
use crate::config::{Project, hide_credentials};
use crate::fetch::Settings;
use crate::lock::{Change, Edition, Lock};
use crate::packages::Sources;
use crate::resolve::{Outcome, Task, all_changes, lock};

#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Resolves each image's packages against the current state of the channel's repositories, fetches them, verifies their \
signatures, and writes apk-locks/CHANNEL/IMAGE.ARCH.lock for review. Package scripts are never run: if the channel's \
scripts.toml has no rule for a script, the command fails.")]
pub(super) struct Args {
    /// The images to lock [default: all images in mailimg.toml]
    #[arg(add = complete::images())]
    images: Vec<String>,
    /// Write nothing; if a lock is out of date, print what would change and exit with 1
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    format: FormatArgs,
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

/// How to print what changes.
#[derive(Debug, clap::Args)]
struct FormatArgs {
    /// Like --check, but print the changes as a patch of the lock files
    #[arg(long)]
    diff: bool,
    /// Print a JSON object with the images (image, path, status, number of packages) and the changes of their locks.
    /// The status is new, changed or unchanged
    #[arg(long, conflicts_with = "diff")]
    json: bool,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let (project, arch) = args.channel.open(context)?;
    let supply = args.channel.supply(Settings::default(), context.cache_dir()?)?;
    let sources = Sources::of_channel(project.channel(), supply.surroundings(&project))?;
    let task = Task {
        project: &project,
        arch: &arch,
        images: &args.images,
        update: &args.update,
        sources: &sources,
        keys: args.keys_dir.as_deref(),
        allow_downgrade: args.allow_downgrade,
    };
    let outcomes = lock(task, supply.fetching(context)?)?;
    let outdated: Vec<_> = outcomes.iter().filter(|outcome| outcome.is_outdated()).collect();
    if args.format.diff {
        let patches: String = outdated.iter().map(|outcome| patch(outcome, &project)).collect();
        context.ui().write(patches.as_bytes())?;
    } else if args.format.json {
        context.ui().json(&object(&outcomes))?;
    } else {
        show(&outcomes, context)?;
    }
    if args.check || args.format.diff {
        return if outdated.is_empty() { Ok(()) } else { Err(out_of_date(outdated.len())) };
    }
    for Outcome { image, path, new, .. } in outdated {
        new.write(path)?;
        context.ui().status(format!("{image}: wrote {path}"));
    }
    Ok(())
}

/// All changes, each once, and then what became of each image's lock.
fn show(outcomes: &[Outcome], context: &Context) -> Result<(), Failure> {
    let count = outcomes.iter().filter(|outcome| outcome.old.is_some()).count();
    for (change, images) in all_changes(outcomes) {
        let only = if images.len() < count { format!("  [{}]", images.join(", ")) } else { String::new() };
        context.ui().line(format!("{change}{only}"))?;
    }
    for outcome in outcomes {
        let changed = match outcome.changes.as_ref().map(Vec::len) {
            None => "locked for the first time".to_owned(),
            Some(0) => "no changes".to_owned(),
            Some(1) => "1 change".to_owned(),
            Some(count) => format!("{count} changes"),
        };
        context.ui().line(format!("{}: {} packages, {changed}", outcome.image, outcome.new.packages.len()))?;
    }
    Ok(())
}

fn object(outcomes: &[Outcome]) -> Value {
    let image = |outcome: &Outcome| {
        let status = match &outcome.changes {
            None => "new",
            Some(_) if outcome.is_outdated() => "changed",
            Some(_) => "unchanged",
        };
        let Outcome { image, path, new, .. } = outcome;
        json!({ "image": image, "path": path, "status": status, "packages": new.packages.len() })
    };
    let images: Vec<Value> = outcomes.iter().map(image).collect();
    let changes = all_changes(outcomes);
    let changes: Vec<Value> = changes.iter().map(|(change, images)| change_object(change, images)).collect();
    json!({ "images": images, "changes": changes })
}

fn change_object(change: &Change, images: &[&str]) -> Value {
    let package = |kind: &str, package: &str, from: Option<&Edition>, to: Option<&Edition>| {
        let (from, to) = (from.map(ToString::to_string), to.map(ToString::to_string));
        json!({ "kind": kind, "package": package, "from": from, "to": to, "images": images })
    };
    match change {
        Change::Added { name, version } => package("added", name, None, Some(version)),
        Change::Removed { name, version } => package("removed", name, Some(version), None),
        Change::Moved { name, from, to } => {
            package(if change.is_downgrade() { "downgraded" } else { "updated" }, name, Some(from), Some(to))
        }
        Change::Rebuilt { name, version } => package("rebuilt", name, Some(version), Some(version)),
        Change::Script { package, script } => {
            json!({ "kind": "script", "package": package, "script": script, "images": images })
        }
        Change::Other(what) => json!({ "kind": "other", "what": what, "images": images }),
    }
}

/// The change of a lock as a patch for `git apply` in the project. Older versions locked URLs with passwords.
fn patch(outcome: &Outcome, project: &Project) -> String {
    let Outcome { path, old, new, .. } = outcome;
    let path = path.strip_prefix(project.root()).unwrap_or(path);
    let text = |lock: &Lock| hide_credentials(&lock.to_string());
    let before = old.as_ref().map(text).unwrap_or_default();
    let header = if old.is_some() { format!("a/{path}") } else { "/dev/null".to_owned() };
    let after = text(new);
    TextDiff::from_lines(&before, &after).unified_diff().header(&header, &format!("b/{path}")).to_string()
}

fn out_of_date(count: usize) -> Failure {
    let message = match count {
        1 => "1 lock is out of date".to_owned(),
        _ => format!("{count} locks are out of date"),
    };
    Failure::told(Exit::No, message).hint("update them with `mailimg lock`")
}
