use std::collections::BTreeSet;

use camino::Utf8PathBuf;
use rayon::prelude::*;
use serde_json::json;

use super::images::{self, ImageArgs};
use super::{Context, Failure};
use crate::oci::{Image, Layout, archive_path, write_archive};

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
    let usual = project.channel().architectures.first();
    let archive = |image: &Image| archive_path(&output, image, usual.map_or("", String::as_str));
    if args.archive {
        images.par_iter().try_for_each(|image| write_archive(&output, image, &archive(image)))?;
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
