use serde_json::json;

use super::engine::EngineArgs;
use super::layout::LayoutArgs;
use super::{Context, Failure, complete};
use crate::oci::{Built, read_image};

/// Load built images into the local container engine.
///
/// Names each image mailimg/IMAGE:TAG, with a tag made from the digest of its manifest, and prints the names. Images
/// that the engine already has are not sent again. `mailimg compose` writes a compose file that uses these names.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  mailimg load                    all images of the layout
  mailimg load postfix dovecot    these two
  mailimg load --engine podman    into Podman")]
pub(super) struct Args {
    /// The images to load [default: all in the layout]
    #[arg(add = complete::images())]
    images: Vec<String>,
    #[command(flatten)]
    layout: LayoutArgs,
    #[command(flatten)]
    engine: EngineArgs,
    /// Print a JSON array of objects with image, digest and name
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let layout = args.layout.path(context)?;
    let chosen = args.layout.chosen(&layout, &args.images, context)?;
    let engine = args.engine.find()?;
    let (mut objects, count) = (Vec::new(), chosen.len());
    for Built { name, digest } in chosen {
        let image = read_image(&layout, &name, digest)?;
        let loaded = engine.load(&layout, image, context.ui())?;
        if args.json {
            objects.push(json!({ "image": name, "digest": digest.to_oci(), "name": loaded }));
        } else {
            context.ui().line(loaded)?;
        }
    }
    if args.json {
        context.ui().json(&objects)?;
    }
    let images = if count == 1 { "1 image is".to_owned() } else { format!("{count} images are") };
    context.ui().done(&format!("{images} in the engine"), Some("`mailimg compose` writes the file that runs them"));
    Ok(())
}
