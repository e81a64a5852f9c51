use super::images::{self, ImageArgs};
use super::{Context, Failure};

/// Print the digests that images would have, without writing them.
///
/// Shows whether a change affects an image, and names the image that the current inputs (lock, recipe, rendered files,
/// layer plan) produce. If an image was already built from the same inputs, neither its packages nor a build are
/// needed. Otherwise its layers are built, and stay in the store for the next build.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  mailimg digest
  mailimg digest postfix --json")]
pub(super) struct Args {
    #[command(flatten)]
    images: ImageArgs,
    /// Print a JSON array of objects with image, digest and more
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let selection = args.images.open(context)?;
    let images = args.images.build(&selection, &args.images.supply(context)?, context)?;
    if args.json {
        return context.ui().json(&images.iter().map(images::object).collect::<Vec<_>>());
    }
    context.ui().write(images::lines(&images).as_bytes())
}
