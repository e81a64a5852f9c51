use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use indicatif::DecimalBytes;
use rayon::prelude::*;
use serde_json::json;

use super::images::{self, ImageArgs};
use super::{Context, Failure};
use crate::oci::{Image, archive_path, write_archive};

/// Build images from their locks into an OCI layout.
///
/// The same locks, recipes and baked files give the same digests on every machine. Packages missing from the store are
/// fetched and checked against the lock. Package scripts are never run.
///
/// All images go into one OCI layout. Its index changes only when every image is complete. Where the file system
/// supports it, the layout shares its blobs with the store instead of copying them. Nothing unchanged is built again.
/// An image's creation time is that of its newest package, or SOURCE_DATE_EPOCH (seconds since 1970) if set.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  mailimg build                      all images in mailimg.toml
  mailimg build postfix --archive    one image, also as oci/postfix.tar
  mailimg build --arch aarch64       for another architecture")]
pub(super) struct Args {
    #[command(flatten)]
    images: ImageArgs,
    /// The OCI layout to write [default: oci in the project]
    #[arg(short, long, value_name = "DIR")]
    output: Option<Utf8PathBuf>,
    /// Also write IMAGE.tar to the layout's directory, for `docker load` and `skopeo copy oci-archive:`; IMAGE.ARCH.tar
    /// for an architecture other than the channel's first
    #[arg(long)]
    archive: bool,
    /// Print a JSON array of objects with image, digest and more
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let selection = args.images.open(context)?;
    let project = selection.project();
    let output = args.output.clone().unwrap_or_else(|| project.layout_dir());
    let supply = args.images.supply(context)?;
    let images = args.images.build(&selection, &supply, context)?;
    let layout = selection.write(&images, &output, supply.store())?;
    let usual = project.channel().architectures.first();
    let archive = |image: &Image| archive_path(&output, image, usual.map_or("", String::as_str));
    if args.archive {
        images.par_iter().try_for_each(|image| write_archive(&layout, image, &archive(image)))?;
    }
    if args.json {
        print_objects(&images, &output, |image| args.archive.then(|| archive(image)), context)?;
    } else {
        context.ui().write(images::lines(&images).as_bytes())?;
    }
    context.ui().done(&summary(&images), Some("`mailimg up` runs them here, `mailimg push` sends them to a registry"));
    Ok(())
}

fn print_objects(
    images: &[Image],
    layout: &Utf8Path,
    archive: impl Fn(&Image) -> Option<Utf8PathBuf>,
    context: &Context,
) -> Result<(), Failure> {
    let object = |image: &Image| {
        let mut object = images::object(image);
        if let Some(fields) = object.as_object_mut() {
            fields.extend([("layout".to_owned(), json!(layout)), ("archive".to_owned(), json!(archive(image)))]);
        }
        object
    };
    context.ui().json(&images.iter().map(object).collect::<Vec<_>>())
}

/// How many images there are, and how much they take: layers that they share count once.
fn summary(images: &[Image]) -> String {
    let layers: BTreeMap<_, _> = images.iter().flat_map(|image| &image.layers).map(|it| (it.digest, it.size)).collect();
    let (count, size) = (layers.len(), DecimalBytes(layers.values().sum()));
    let images = if images.len() == 1 { "1 image".to_owned() } else { format!("{} images", images.len()) };
    format!("{images}, {size} in {count} layers")
}
