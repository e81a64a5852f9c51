use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::BufWriter;

use camino::{Utf8Path, Utf8PathBuf};
use rayon::prelude::*;
use serde_json::json;

use super::exit::Exit;
use super::locked::PackageSource;
use super::repositories::RepositoryArgs;
use super::{Context, Failure};
use crate::build::{Inputs, Job, Plan, build, recall};
use crate::config::{Project, Recipe};
use crate::lock::{Lock, LockError, Wanted, architecture, path};
use crate::oci::{Image, Layout, UNFINISHED, archive};
use crate::store::{Store, WriteError};
use crate::timestamp::Timestamp;

#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Builds images from their locks, recipes and baked files, and nothing else: the same inputs give the same digests on \
every machine. Packages that the store doesn't have are fetched and checked against the lock; package scripts are never \
run. The images are in one OCI layout, whose index changes only when all of them are complete. SOURCE_DATE_EPOCH, \
seconds since 1970, replaces the time of the newest package as the time of creation.")]
pub(super) struct Args {
    /// Images to build [default: all of mailimg.toml]
    images: Vec<String>,
    /// The OCI layout to write [default: oci of the project]
    #[arg(short, long, value_name = "DIR")]
    output: Option<Utf8PathBuf>,
    /// Write IMAGE.tar into the layout's directory too, for `docker load` and `skopeo copy oci-archive:`
    #[arg(long)]
    archive: bool,
    /// Use no network: every package has to be in the store or in a directory
    #[arg(long)]
    offline: bool,
    /// Print an array of objects with image, digest and more, as JSON
    #[arg(long)]
    json: bool,
    /// Architecture in apk's words, x86_64 or aarch64 [default: the channel's first]
    #[arg(long)]
    arch: Option<String>,
    /// Build from another channel's locks than mailimg.toml names
    #[arg(long)]
    channel: Option<String>,
    #[command(flatten)]
    repositories: RepositoryArgs,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let project = Project::open_with(context.project(), args.channel.as_deref())?;
    let output = args.output.clone().unwrap_or_else(|| project.layout_dir());
    let store = context.store()?;
    let images = build_all(args, &project, &store, context)?;
    let layout = Layout::open(&output)?;
    layout.add(&images, &store)?;
    let known: BTreeSet<&str> = project.recipes().map(|recipe| recipe.name.as_str()).collect();
    layout.commit(&images, |name| known.contains(name))?;
    if args.archive {
        images.par_iter().try_for_each(|image| write_archive(&output, image))?;
    }
    show(args, &output, &images, context)
}

fn build_all(args: &Args, project: &Project, store: &Store, context: &Context) -> Result<Vec<Image>, Failure> {
    let arch = architecture(project.channel(), args.arch.as_deref())?;
    let recipes: Vec<&Recipe> = match args.images.as_slice() {
        [] => project.recipes().collect(),
        names => names.iter().map(|name| project.recipe(name)).collect::<Result<_, _>>()?,
    };
    // What is in which layer depends on what images share, so that the locks of all are needed.
    let read = |recipe: &Recipe| Lock::read(&path(&project.channel_dir(), &recipe.name, &arch));
    let all = project.recipes().chain(recipes.iter().copied());
    let locks =
        all.map(|recipe| Ok((recipe.name.as_str(), read(recipe)?))).collect::<Result<BTreeMap<_, _>, LockError>>()?;
    let plan = Plan::new(locks.iter().map(|(name, lock)| (*name, lock)), project.site().layers);
    let created = source_date_epoch()?;
    let locked = recipes.iter().filter_map(|recipe| Some((*recipe, locks.get(recipe.name.as_str())?)));
    let inputs = locked.map(|(recipe, lock)| {
        check_current(project, recipe, lock)?;
        Ok(Inputs::new(project, recipe, lock, &plan, created)?)
    });
    let from = PackageSource { offline: args.offline, repositories: &args.repositories };
    let inputs = inputs.collect::<Result<Vec<_>, Failure>>()?;
    let images: Vec<Option<Image>> = inputs.iter().map(|inputs| recall(inputs, store)).collect();
    let open: Vec<_> = inputs.into_iter().zip(&images).filter(|(_, known)| known.is_none()).map(|it| it.0).collect();
    let packages =
        from.obtain(&open.iter().map(|inputs| (inputs.recipe, inputs.lock)).collect::<Vec<_>>(), project, context)?;
    let jobs: Vec<_> = open.into_iter().zip(packages).map(|(inputs, packages)| Job { inputs, packages }).collect();
    let mut made = build(&jobs, store)?.into_iter();
    Ok(images.into_iter().filter_map(|known| known.or_else(|| made.next())).collect())
}

/// Refuses a lock that was made for another recipe than there is now.
fn check_current(project: &Project, recipe: &Recipe, lock: &Lock) -> Result<(), Failure> {
    let wanted = Wanted::of(project, recipe)?;
    let same = wanted.world == lock.world && wanted.groups == lock.groups && wanted.users == lock.users;
    if same {
        return Ok(());
    }
    let message = format!("the lock of {} doesn't fit its recipe: world or accounts have changed since", recipe.name);
    Err(Failure::new(Exit::Usage, &std::io::Error::other(message)).hint("run `mailimg lock` and review what changes"))
}

fn source_date_epoch() -> Result<Option<Timestamp>, Failure> {
    let Ok(text) = std::env::var("SOURCE_DATE_EPOCH") else { return Ok(None) };
    let seconds = text.parse().map_err(|_| {
        let message = format!("SOURCE_DATE_EPOCH is {text:?}, which is no number of seconds since 1970");
        Failure::new(Exit::Usage, &std::io::Error::other(message))
    })?;
    Ok(Some(Timestamp::from_unix(seconds)))
}

/// The file into which an image is archived.
fn archive_path(output: &Utf8Path, image: &Image) -> Utf8PathBuf {
    output.join(format!("{}.tar", image.name))
}

/// Writes the archive under another name first, so that a build that is cut off leaves the old one.
fn write_archive(output: &Utf8Path, image: &Image) -> Result<(), Failure> {
    let path = archive_path(output, image);
    let write = || {
        let file = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(output)?;
        let mut out = BufWriter::with_capacity(1 << 20, file);
        archive(output, image, &mut out)?;
        let file = out.into_inner().map_err(std::io::IntoInnerError::into_error)?;
        readable_by_all(file.as_file())?;
        file.as_file().sync_all()?;
        file.persist(&path).map_err(|error| error.error)
    };
    write().map_err(|source| WriteError { path: path.clone(), source })?;
    Ok(())
}

fn readable_by_all(file: &File) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    file.set_permissions(std::fs::Permissions::from_mode(0o644))
}

fn show(args: &Args, output: &Utf8Path, images: &[Image], context: &Context) -> Result<(), Failure> {
    if !args.json {
        let line = |image: &Image| format!("{} {}\n", image.name, image.manifest.digest.to_oci());
        return context.ui().write(images.iter().map(line).collect::<String>().as_bytes());
    }
    let object = |image: &Image| {
        let layers = image.layers.iter().map(
            |layer| json!({ "digest": layer.digest.to_oci(), "diff_id": layer.diff_id.to_oci(), "size": layer.size }),
        );
        json!({
            "image": image.name,
            "digest": image.manifest.digest.to_oci(),
            "config": image.config.digest.to_oci(),
            "layers": layers.collect::<Vec<_>>(),
            "size": image.layers.iter().map(|layer| layer.size).sum::<u64>(),
            "layout": output,
            "archive": args.archive.then(|| archive_path(output, image)),
        })
    };
    let text = serde_json::to_string_pretty(&images.iter().map(object).collect::<Vec<_>>());
    context.ui().line(text.map_err(std::io::Error::from)?)
}
