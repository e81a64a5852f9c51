use camino::Utf8PathBuf;

use crate::compose::compose;
use crate::config::Project;
use crate::store::{write_atomic, write_output};

use super::layout::LayoutArgs;
use super::ui::is_standard_output;
use super::{Context, Failure};

/// Write the compose file that runs the built images.
///
/// `mailimg up` does this, too. The file names the images by digest, as `mailimg load` and `mailimg push` do, and
/// contains everything else that their services need: networks, ports, volumes, secrets, limits and health checks. Its
/// first lines say what the machine that runs it needs. It expects the directory `secrets` beside it, so it can be
/// written on one machine, such as in CI, and copied to another. Don't edit it: change mailimg.toml or the recipes and
/// write it again.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  mailimg compose                             for this machine
  mailimg compose --output dist/compose.yaml  for another, to copy there
  mailimg compose --output - | docker compose -f - config")]
pub(super) struct Args {
    /// The file to write, or - for standard output [default: compose.yaml in the project]
    #[arg(short, long, value_name = "FILE")]
    output: Option<Utf8PathBuf>,
    #[command(flatten)]
    layout: LayoutArgs,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let project = Project::open(context.project())?;
    let layout = args.layout.path(context)?;
    let images = args.layout.chosen(&layout, &[], context)?;
    let file = compose(&project, &images.into_iter().map(|built| (built.name, built.digest)).collect())?;
    let output = args.output.clone().unwrap_or_else(|| project.compose_file());
    match &args.output {
        Some(output) if is_standard_output(output) => return context.ui().write_file(file.as_bytes()),
        Some(output) => write_output(output, file, 0o644)?,
        None => write_atomic(&output, file, 0o644)?,
    }
    context.ui().status(format!("wrote {output}"));
    Ok(())
}
