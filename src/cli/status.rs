use serde_json::{Value, json};

use super::engine::EngineArgs;
use super::exit::Exit;
use super::images::own_selection;
use super::{Context, Failure};
use crate::deploy::{self, ServiceStatus, Status};
use crate::digest::Sha256;
use crate::engine::{Container, Health};
use crate::oci::tag;

/// Show what is configured, built, in the compose file and running.
///
/// Prints one line per service: the image that its configuration makes, the one in the layout, the one in compose.yaml
/// and the one that runs, each by the first digits of its digest, and whether the service is healthy. The configured
/// image is - if it has not been built. Then says what is out of date. Nothing is built or changed. Ends with code 1 if
/// something is out of date or not healthy.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  mailimg status
  mailimg status --json | jq '.stale'")]
pub(super) struct Args {
    #[command(flatten)]
    engine: EngineArgs,
    /// Print a JSON object with services and stale
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let (selection, platform) = own_selection(context)?;
    let has_file = selection.project().compose_file().exists() || std::env::var_os("COMPOSE_FILE").is_some();
    let stack = if has_file { Some(args.engine.stack(context)?) } else { None };
    let status = deploy::status(&selection, platform, &context.store()?, stack.as_ref())?;
    let ui = context.ui();
    if args.json {
        ui.json(&object(&status))?;
    } else {
        ui.write(table(&status.services).as_bytes())?;
    }
    let is_healthy =
        |service: &ServiceStatus| service.container.as_ref().is_some_and(|it| it.health == Health::Healthy);
    if status.stale.is_empty() && status.services.iter().all(is_healthy) {
        return Ok(());
    }
    let stale: Vec<String> = status.stale.iter().map(ToString::to_string).collect();
    Err(match stale.as_slice() {
        [] => Failure::told(Exit::No, "not all services are healthy").hint("`mailimg logs SERVICE` shows more"),
        stale => Failure::told(Exit::No, stale.join("\n  ")).hint("run `mailimg up`"),
    })
}

const HEADINGS: [&str; 6] = ["SERVICE", "CONFIGURED", "BUILT", "COMPOSE", "RUNNING", "HEALTH"];

fn table(services: &[ServiceStatus]) -> String {
    let row = |it: &ServiceStatus| {
        let digest = |digest: Option<Sha256>| digest.map_or_else(|| "-".to_owned(), tag);
        let composed = it.composed.as_ref().map(|composed| short(&composed.image));
        let running = it.container.as_ref().map(|container| short(&container.image));
        [
            it.service.clone(),
            digest(it.configured),
            digest(it.built),
            composed.unwrap_or_else(|| "-".to_owned()),
            running.unwrap_or_else(|| "-".to_owned()),
            it.container.as_ref().map_or_else(|| "not running".to_owned(), health),
        ]
    };
    let rows: Vec<[String; 6]> = std::iter::once(HEADINGS.map(str::to_owned)).chain(services.iter().map(row)).collect();
    let widest = rows.iter().map(|[service, ..]| service.len()).max().unwrap_or_default();
    let line = |[service, configured, built, composed, running, health]: &[String; 6]| {
        format!("{service:widest$}  {configured:16}  {built:16}  {composed:16}  {running:16}  {health}\n")
    };
    rows.iter().map(line).collect()
}

/// The digits of an image's digest in its name.
fn short(image: &str) -> String {
    image.rsplit(':').next().unwrap_or(image).chars().take(16).collect()
}

fn health(container: &Container) -> String {
    let health = container.health.name();
    container.reason.as_ref().map_or_else(|| health.to_owned(), |reason| format!("{health}: {reason}"))
}

fn object(status: &Status) -> Value {
    let service = |it: &ServiceStatus| {
        json!({
            "service": it.service,
            "configured": it.configured.map(Sha256::to_oci),
            "built": it.built.map(Sha256::to_oci),
            "composed": it.composed.as_ref().map(|composed| &composed.image),
            "running": it.container.as_ref().map(running),
        })
    };
    let stale = status.stale.iter().map(|stale| json!({ "what": stale.name(), "message": stale.to_string() }));
    json!({
        "services": status.services.iter().map(service).collect::<Vec<_>>(),
        "stale": stale.collect::<Vec<_>>(),
    })
}

/// A container for programs.
pub(super) fn running(container: &Container) -> Value {
    json!({
        "service": container.service,
        "image": container.image,
        "health": container.health.name(),
        "reason": container.reason,
    })
}
