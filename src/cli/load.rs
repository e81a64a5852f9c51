use std::io::{self, BufWriter};
use std::process::{Command, Stdio};

use camino::Utf8Path;

use super::exit::Exit;
use super::layout::LayoutArgs;
use super::{Context, Failure};
use crate::oci::{Built, Image, archive, local_reference, read_image};

#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Streams built images into the local engine, by its own command line, and prints the names under which it has them then: \
mailimg/IMAGE:TAG, with a tag made of the manifest's digest. Images that the engine has already are not sent again.")]
pub(super) struct Args {
    /// Images to load [default: all in the layout]
    images: Vec<String>,
    #[command(flatten)]
    layout: LayoutArgs,
    /// The engine's command line
    #[arg(long, value_name = "PROGRAM", default_value = "docker", env = "MAILIMG_ENGINE")]
    engine: String,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let layout = args.layout.path(context)?;
    let chosen = args.layout.chosen(&layout, &args.images, context)?;
    check_engine(&args.engine)?;
    for Built { name, digest } in chosen {
        let reference = local_reference(&name, digest);
        if !has_image(&args.engine, &reference)? {
            let image = read_image(&layout, &name, digest)?;
            send(&args.engine, &layout, &image)?;
        }
        context.ui().line(reference)?;
    }
    Ok(())
}

const NO_ENGINE: &str = "install Docker (Debian's docker.io, or https://docs.docker.com/engine/install/) and start it; \
                         in a checkout, `scripts/engine` does that; DOCKER_HOST names an engine elsewhere, --engine \
                         another program such as podman";

/// Asks the engine for its version, so that a missing one is told before anything is sent.
fn check_engine(engine: &str) -> Result<(), Failure> {
    let missing = |reason: String| {
        let message = format!("no container engine answers to `{engine}`: {reason}");
        Failure::new(Exit::Missing, &io::Error::other(message)).hint(NO_ENGINE)
    };
    let output = Command::new(engine).args(["version", "--format", "{{.Server.Version}}"]).output();
    let output = output.map_err(|error| missing(error.to_string()))?;
    if output.status.success() { Ok(()) } else { Err(missing(last_line(&output.stderr))) }
}

fn has_image(engine: &str, reference: &str) -> Result<bool, Failure> {
    let status = Command::new(engine)
        .args(["image", "inspect", reference])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    Ok(status.success())
}

fn send(engine: &str, layout: &Utf8Path, image: &Image) -> Result<(), Failure> {
    let mut child =
        Command::new(engine).arg("load").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let written = match child.stdin.take() {
        Some(pipe) => archive(layout, image, &mut BufWriter::with_capacity(1 << 20, pipe)),
        None => Err(io::ErrorKind::BrokenPipe.into()),
    };
    let output = child.wait_with_output()?;
    if !output.status.success() {
        let message = format!("`{engine} load` refused {}: {}", image.name, last_line(&output.stderr));
        return Err(Failure::new(Exit::System, &io::Error::other(message)));
    }
    Ok(written?)
}

fn last_line(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it gives no reason").trim().to_owned()
}
