use std::collections::BTreeSet;
use std::fs::File;
use std::io::BufWriter;

use camino::{Utf8Path, Utf8PathBuf};
use rayon::prelude::*;
use serde_json::json;

use super::images::{self, ImageArgs};
use super::{Context, Failure};
use crate::config::Channel;
use crate::oci::{Image, Layout, UNFINISHED, archive};
use crate::store::WriteError;

#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Builds images from their locks, recipes and baked files, and nothing else: the same inputs give the same digests on \
every machine. Packages that the store doesn't have are fetched and checked against the lock; package scripts are never \
run. The images are in one OCI layout, whose index changes only when all of them are complete; where the file system \
can, its blobs share their bytes with the store, so that nothing is copied. What hasn't changed since it was last made is \
not made again. SOURCE_DATE_EPOCH, \
seconds since 1970, replaces the time of the newest package as the time of creation.")]
pub(super) struct Args {
    #[command(flatten)]
    images: ImageArgs,
    /// The OCI layout to write [default: oci of the project]
    #[arg(short, long, value_name = "DIR")]
    output: Option<Utf8PathBuf>,
    /// Also write IMAGE.tar to the layout's directory, for `docker load` and `skopeo copy oci-archive:`; IMAGE.ARCH.tar
    /// for an architecture other than the channel's first
    #[arg(long)]
    archive: bool,
    /// Print an array of objects with image, digest and more, as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let selection = args.images.open(context)?;
    let project = selection.project();
    let output = args.output.clone().unwrap_or_else(|| project.layout_dir());
    let store = context.store()?;
    let images = args.images.build(&selection, &store, context)?;
    let layout = Layout::open(&output)?;
    layout.add(&images, &store)?;
    let known: BTreeSet<&str> = project.recipes().map(|recipe| recipe.name.as_str()).collect();
    layout.commit(&images, |name| known.contains(name))?;
    let archive = |image: &Image| output.join(archive_name(image, project.channel()));
    if args.archive {
        images.par_iter().try_for_each(|image| write_archive(&archive(image), &output, image))?;
    }
    if !args.json {
        return context.ui().write(images::lines(&images).as_bytes());
    }
    let object = |image: &Image| {
        let mut object = images::object(image);
        if let Some(fields) = object.as_object_mut() {
            let archive = args.archive.then(|| archive(image));
            fields.extend([("layout".to_owned(), json!(output)), ("archive".to_owned(), json!(archive))]);
        }
        object
    };
    context.ui().json(&images.iter().map(object).collect::<Vec<_>>())
}

/// What the archive of an image is called.
fn archive_name(image: &Image, channel: &Channel) -> String {
    let Image { name, platform, .. } = image;
    let is_usual = channel.architectures.first().is_some_and(|usual| usual == platform.arch);
    if is_usual { format!("{name}.tar") } else { format!("{name}.{platform}.tar") }
}

/// Writes the archive under another name first, so that a build that is cut off leaves the old one.
fn write_archive(path: &Utf8Path, layout: &Utf8Path, image: &Image) -> Result<(), Failure> {
    let write = || {
        let file = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(layout)?;
        let mut out = BufWriter::with_capacity(1 << 20, file);
        archive(layout, image, &mut out)?;
        let file = out.into_inner().map_err(std::io::IntoInnerError::into_error)?;
        readable_by_all(file.as_file())?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)
    };
    write().map_err(|source| WriteError { path: path.to_owned(), source })?;
    Ok(())
}

fn readable_by_all(file: &File) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    file.set_permissions(std::fs::Permissions::from_mode(0o644))
}
