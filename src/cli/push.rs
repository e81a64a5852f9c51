use serde_json::{Value, json};

use super::exit::Exit;
use super::layout::LayoutArgs;
use super::ui::Ui;
use super::{Context, Failure, complete};
use crate::config::Project;
use crate::oci::{Built, registry_reference};
use crate::push::{self, Artifacts, Order, Pushed};
use crate::registry::{Client, Prefix, Tag};

#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Pushes built images to PREFIX/IMAGE and prints their names there, pinned by digest, as `mailimg compose` writes them. \
Nothing that the registry already has is sent again, and layers that images share are sent once. The packages each image \
was made of are pushed too, under the tag sha256-DIGEST.packages: a later build takes them from there when their own \
repository no longer has them.

Credentials come from `docker login` or `podman login`. Registries on this machine are spoken to without TLS; for \
another that has none, pass --plain-http or set registry.plain-http in mailimg.toml.")]
pub(super) struct Args {
    /// The images to push [default: all in the layout]
    #[arg(add = complete::images())]
    images: Vec<String>,
    /// Where to push: host[:port]/path, followed by the image's name [default: registry.prefix in mailimg.toml]
    #[arg(long, value_name = "PREFIX")]
    to: Option<String>,
    /// An additional tag for the images, such as latest; can be given several times
    #[arg(long, value_name = "TAG")]
    tag: Vec<Tag>,
    /// Speak HTTP without TLS to the registry
    #[arg(long)]
    plain_http: bool,
    /// Push only the images, without their packages
    #[arg(long)]
    no_packages: bool,
    #[command(flatten)]
    layout: LayoutArgs,
    /// Print a JSON array of objects with image, reference, digest, tags and packages_pushed
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let prefix = prefix(args, context)?;
    let layout = args.layout.path(context)?;
    let images = args.layout.chosen(&layout, &args.images, context)?;
    let store = if args.no_packages { None } else { Some(context.store()?) };
    let order = Order { layout: &layout, images: &images, prefix: &prefix, tags: &args.tag, artifacts: store.as_ref() };
    let (mut unkept, mut objects) = (Unkept::default(), Vec::new());
    let pushed = |pushed: Pushed<'_>| {
        unkept.add(&pushed);
        let Built { name, digest } = pushed.image;
        let reference = registry_reference(&prefix.to_string(), name, *digest);
        if args.json {
            objects.push(object(&pushed, &reference));
            return Ok(());
        }
        context.ui().line(reference)
    };
    let outcome = context.block_on(push::push(order, &Client::default(), context.ui(), pushed))?;
    unkept.tell(context.ui());
    outcome?;
    tell_where_they_run(args, context);
    if args.json { context.ui().json(&objects) } else { Ok(()) }
}

/// The compose file knows only one registry.
fn tell_where_they_run(args: &Args, context: &Context) {
    let Some(prefix) = &args.to else { return };
    let Ok(project) = Project::open(context.project()) else { return };
    if project.site().registry.as_ref().is_none_or(|registry| registry.prefix.as_str() != prefix) {
        context.ui().status(format!(
            "compose.yaml doesn't use these images: for that, set registry.prefix = {prefix:?} in mailimg.toml"
        ));
    }
}

fn object(Pushed { image: Built { name, digest }, tags, artifacts }: &Pushed<'_>, reference: &str) -> Value {
    json!({
        "image": name,
        "reference": reference,
        "digest": digest.to_oci(),
        "tags": tags.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "packages_pushed": *artifacts == Artifacts::Kept,
    })
}

fn prefix(args: &Args, context: &Context) -> Result<Prefix, Failure> {
    if let Some(prefix) = &args.to {
        return Ok(Prefix::new(prefix, args.plain_http)?);
    }
    let project = Project::open(context.project())?;
    let registry = project.site().registry.as_ref().ok_or_else(|| {
        Failure::told(Exit::Usage, "no registry to push to is known")
            .hint("set registry.prefix in mailimg.toml, or name one with `mailimg push --to registry.example.org/mail`")
    })?;
    Ok(Prefix::new(registry.prefix.as_str(), args.plain_http || registry.plain_http)?)
}

/// The warnings about images pushed without their packages.
#[derive(Default)]
struct Unkept {
    not_in_store: Vec<String>,
    refused: Vec<String>,
    reason: String,
}

impl Unkept {
    fn add(&mut self, pushed: &Pushed<'_>) {
        let name = pushed.image.name.clone();
        match &pushed.artifacts {
            Artifacts::Kept | Artifacts::NotWanted => {}
            Artifacts::NotInStore => self.not_in_store.push(name),
            Artifacts::Refused(reason) => {
                self.refused.push(name);
                self.reason.clone_from(reason);
            }
        }
    }

    fn tell(&self, ui: &Ui) {
        if !self.not_in_store.is_empty() {
            let names = self.not_in_store.join(", ");
            ui.warning(format!(
                "the packages of {names} were not pushed, because they are not in the cache directory. To push \
                 them, run `mailimg build` and `mailimg push` with the same cache directory"
            ));
        }
        if !self.refused.is_empty() {
            let (names, reason) = (self.refused.join(", "), &self.reason);
            ui.warning(format!(
                "the registry doesn't accept the packages of {names}, so later builds can't fetch them from \
                 there: {reason}. To leave them out, use --no-packages"
            ));
        }
    }
}
