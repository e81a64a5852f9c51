use std::collections::BTreeMap;
use std::net::IpAddr;

use camino::Utf8PathBuf;

use crate::compose::{Options, compose, secrets_dir};
use crate::config::Project;
use crate::store::write_atomic;

use super::layout::LayoutArgs;
use super::{Context, Failure};

/// Write the compose file that runs the built images.
///
/// The file names the images by digest, as `mailimg load` and `mailimg push` do, and contains everything else that
/// their services need: networks, volumes, secrets, limits and health checks. Don't edit it: change mailimg.toml or the
/// recipes and write it again.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  mailimg compose && docker compose up -d
  mailimg compose --bind 192.0.2.25 --port 993=1993
  mailimg compose --output - | docker compose -f - config")]
pub(super) struct Args {
    /// The file to write, or - for standard output [default: compose.yaml in the project]
    #[arg(short, long, value_name = "FILE")]
    output: Option<Utf8PathBuf>,
    #[command(flatten)]
    layout: LayoutArgs,
    /// The host address to publish ports on; can be given several times. Use an IPv6 address only if the engine routes
    /// IPv6 to containers: otherwise every client appears to be the engine itself, which defeats SPF and bans
    #[arg(long = "bind", value_name = "ADDRESS", default_value = "0.0.0.0")]
    bind: Vec<IpAddr>,
    /// Publish a container port on a different host port, such as 25=2525; can be given several times
    #[arg(long = "port", value_name = "PORT=HOST_PORT", value_parser = mapping)]
    ports: Vec<(u16, u16)>,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let project = Project::open(context.project())?;
    let layout = args.layout.path(context)?;
    let images = args.layout.chosen(&layout, &[], context)?;
    let output = args.output.clone().unwrap_or_else(|| project.root().join("compose.yaml"));
    let written = Some(output.as_path()).filter(|output| *output != "-");
    let options = Options {
        images: images.into_iter().map(|built| (built.name, built.digest)).collect(),
        bind: args.bind.clone(),
        ports: args.ports.iter().copied().collect::<BTreeMap<_, _>>(),
        secrets: secrets_dir(&project, written)?,
    };
    let file = compose(&project, &options)?;
    let Some(output) = written else { return context.ui().write(file.as_bytes()) };
    write_atomic(output, file, 0o644)?;
    context.ui().status(format!("wrote {output}"));
    Ok(())
}

fn mapping(text: &str) -> Result<(u16, u16), String> {
    let port = |text: &str| text.parse().ok().filter(|port| *port != 0);
    text.split_once('=')
        .and_then(|(inside, outside)| Some((port(inside)?, port(outside)?)))
        .ok_or_else(|| "expected two ports, such as 25=2525".to_owned())
}
