use std::time::Duration;

use serde_json::{Value, json};

use super::engine::EngineArgs;
use super::exit::Exit;
use super::images::own_selection;
use super::ui::Ui;
use super::{Context, Failure, status};
use crate::config::{Address, Project};
use crate::deploy::{self, Event, Next, Order, Up};
use crate::fetch::{Client, Settings};
use crate::mail::accounts::Accounts;
use crate::packages::Surroundings;

/// Build and start the mail server, or update it to its configuration.
///
/// Does whatever is still to be done, and nothing twice: creates missing secrets, builds images that have changed, loads
/// those that the engine lacks, writes compose.yaml, recreates the containers that differ from it, and restarts those
/// whose secrets have been replaced. Then waits until all services are healthy. If one of them doesn't become healthy,
/// the command says why, according to the service's own health check, and ends with code 1; the containers keep running.
///
/// With registry.prefix in mailimg.toml, the engine pulls the images from there: run `mailimg build` and `mailimg push`
/// first.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  mailimg up                 after each change of mailimg.toml, recipes, locks or secrets
  mailimg up --timeout 60    wait at most a minute for the services
  mailimg status             what `mailimg up` would change")]
pub(super) struct Args {
    /// How many seconds to wait until all services are healthy. The wait ends sooner if a service is unhealthy and
    /// nothing changes for 30 seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 900)]
    timeout: u32,
    #[command(flatten)]
    engine: EngineArgs,
    /// Print a JSON object with images, compose_file_written, changes, services and next
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let (selection, _) = own_selection(context)?;
    let project = selection.project();
    let cache = context.cache_dir()?;
    let client = Client::new(context.store()?, Settings::default());
    let overrides = [].into();
    let ui = context.ui();
    let order = Order {
        selection: &selection,
        surroundings: Surroundings { base: project.root(), cache: &cache, overrides: &overrides },
        fetching: context.fetching(&client)?,
        engine: args.engine.program(),
        time: Duration::from_secs(args.timeout.into()),
    };
    let mut tell = |event: Event<'_>| {
        if !args.json {
            ui.status(told(project, event));
        }
    };
    let up = deploy::up(order, &mut tell)?;
    let accounts = || Accounts::new(up.stack.clone(), project.clone());
    let next = if up.is_healthy() { deploy::next(project, &accounts())? } else { Vec::new() };
    if args.json {
        ui.json(&object(&up, &next))?;
    }
    if !up.is_healthy() {
        return Err(unhealthy(&up));
    }
    if !args.json {
        tell_end(ui, &up);
        for next in &next {
            ui.status(format!("next: {}", advice(next)));
        }
    }
    Ok(())
}

fn told(project: &Project, event: Event<'_>) -> String {
    match event {
        Event::SecretCreated(path) => format!("created {path}"),
        Event::Built(image) => format!("built {} {}", image.name, image.manifest.digest.to_oci()),
        Event::ComposeFileWritten => format!("wrote {}", project.compose_file()),
        Event::Changed(service, change) => format!("{} the container of {service}", change.name()),
    }
}

fn tell_end(ui: &Ui, up: &Up) {
    let services = match up.containers.len() {
        1 => "the service is healthy".to_owned(),
        many => format!("all {many} services are healthy"),
    };
    let unchanged = if up.is_unchanged() { "nothing changed: " } else { "" };
    ui.done(&format!("{unchanged}{services}"), None);
}

fn unhealthy(up: &Up) -> Failure {
    let reasons: Vec<String> = up.unhealthy().map(ToString::to_string).collect();
    let message = if up.containers.is_empty() {
        "none of the containers that were started is left".to_owned()
    } else {
        format!("not all services are healthy\n  {}", reasons.join("\n  "))
    };
    Failure::told(Exit::No, message).hint(
        "`mailimg logs SERVICE` shows more. What only needs time, such as fetching virus signatures, goes on: \
         `mailimg status` says when all are healthy",
    )
}

fn advice(next: &Next) -> String {
    let command = |address: &Address| format!("`mailimg user add {address}`");
    match next {
        Next::AddUsers(Some(address)) => {
            format!("{}, who gets the mail for postmaster@ and abuse@. There are no users yet", command(address))
        }
        Next::AddUsers(None) => "`mailimg user add ADDRESS`. There are no users yet".to_owned(),
        Next::AddPostmaster(address) => {
            format!("{}, because nobody gets the mail for postmaster@ and abuse@ yet", command(address))
        }
        Next::PublishKeys => {
            "`mailimg dkim` prints the DNS records for the keys that sign mail: publish them".to_owned()
        }
    }
}

fn object(up: &Up, next: &[Next]) -> Value {
    let images = up
        .images
        .iter()
        .map(|(image, is_new)| json!({ "image": image.name, "digest": image.manifest.digest.to_oci(), "new": is_new }));
    let changes = up.changes.iter().map(|(service, change)| json!({ "service": service, "change": change.name() }));
    json!({
        "secrets_created": up.secrets,
        "images": images.collect::<Vec<_>>(),
        "compose_file_written": up.is_composed,
        "changes": changes.collect::<Vec<_>>(),
        "services": up.containers.iter().map(status::running).collect::<Vec<_>>(),
        "next": next.iter().map(advice).collect::<Vec<_>>(),
    })
}
