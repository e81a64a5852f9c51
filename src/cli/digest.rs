use super::images::{self, ImageArgs};
use super::{Context, Failure};

#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Prints the digests that `mailimg build` would give, and writes no image: to learn whether a change moves an image, or to \
name the one that these inputs make. An image whose inputs (lock, recipe, rendered files, plan of the layers) are those of \
one that was made before is not made again, and its packages need not be there; else its layers are made and stay in the \
store, where a build finds them.")]
pub(super) struct Args {
    #[command(flatten)]
    images: ImageArgs,
    /// Print an array of objects with image, digest and more, as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let selection = args.images.open(context)?;
    let images = args.images.build(&selection, &context.store()?, context)?;
    if args.json {
        return context.ui().json(&images.iter().map(images::object).collect::<Vec<_>>());
    }
    context.ui().write(images::lines(&images).as_bytes())
}
