use std::sync::atomic::{AtomicU64, Ordering};

use camino::Utf8Path;

use super::exit::Exit;
use super::layout::LayoutArgs;
use super::steps::Steps;
use super::{Context, Failure};
use crate::build::artifacts_of;
use crate::config::Project;
use crate::digest::Sha256;
use crate::oci::{self, Artifact, Built, Document, Image, read_image, registry_reference};
use crate::registry::{Blob, Client, Prefix, Push, RegistryError, Repository, Tag};
use crate::store::Store;

#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Pushes built images to PREFIX/IMAGE and prints their names there, pinned by digest, as `mailimg compose` writes them. \
Nothing that the registry already has is sent again, and layers that images share are sent once. The packages each image \
was made of are pushed too, under the tag sha256-DIGEST.packages: a later build takes them from there when their own \
repository no longer has them.

Credentials come from `docker login` or `podman login`. Registries on this machine are spoken to without TLS; for \
another that has none, pass --plain-http or set registry.plain-http in mailimg.toml.")]
pub(super) struct Args {
    /// Images to push [default: all in the layout]
    images: Vec<String>,
    /// Where to: host[:port]/path, to which the image's name is added [default: registry.prefix of mailimg.toml]
    #[arg(long, value_name = "PREFIX")]
    to: Option<String>,
    /// Also give the images this tag, as `latest`; can be given several times
    #[arg(long, value_name = "TAG")]
    tag: Vec<Tag>,
    /// Speak HTTP without TLS to the registry
    #[arg(long)]
    plain_http: bool,
    #[command(flatten)]
    layout: LayoutArgs,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let prefix = prefix(args, context)?;
    let layout = args.layout.path(context)?;
    let images = args.layout.chosen(&layout, &args.images, context)?;
    context.block_on(push_all(args, context, &layout, &prefix, images))?
}

fn prefix(args: &Args, context: &Context) -> Result<Prefix, Failure> {
    if let Some(prefix) = &args.to {
        return Ok(Prefix::new(prefix, args.plain_http)?);
    }
    let project = Project::open(context.project())?;
    let registry = project.site().registry.as_ref().ok_or_else(|| {
        Failure::told(Exit::Usage, "no registry to push to is known")
            .hint("set registry.prefix in mailimg.toml, or name one: mailimg push --to registry.example.org/mail")
    })?;
    Ok(Prefix::new(registry.prefix.as_str(), args.plain_http || registry.plain_http)?)
}

async fn push_all(
    args: &Args,
    context: &Context,
    layout: &Utf8Path,
    prefix: &Prefix,
    images: Vec<Built>,
) -> Result<(), Failure> {
    let client = Client::new(
        reqwest::Client::builder()
            .user_agent(super::USER_AGENT)
            .build()
            .map_err(|error| Failure::new(Exit::System, &error))?,
    );
    let steps = Steps::new(context.ui());
    let mut last: Option<Repository> = None;
    for Built { name, digest } in images {
        let repository = prefix.repository(&name)?;
        let image = read_image(layout, &name, digest)?;
        let push = Push {
            blobs: blobs(layout, &image),
            media_type: oci::MANIFEST,
            manifest: &image.manifest.bytes,
            tags: [parse_tag(&oci::tag(digest))?].into_iter().chain(args.tag.iter().cloned()).collect(),
        };
        let (total, done) = (push.blobs.iter().map(|blob| blob.size).sum(), AtomicU64::new(0));
        let progress = |blob: &Blob, _: bool| {
            steps.bytes(&name, done.fetch_add(blob.size, Ordering::Relaxed) + blob.size, total);
        };
        client.push(&repository, &push, last.as_ref(), &progress).await?;
        push_artifacts(context, &client, (&repository, last.as_ref()), (&name, digest)).await?;
        context.ui().line(registry_reference(&prefix.to_string(), &name, digest))?;
        last = Some(repository);
    }
    Ok(())
}

fn parse_tag(text: &str) -> Result<Tag, RegistryError> {
    Ok(text.parse::<Tag>()?)
}

/// Pushes the artifacts about an image, its packages among them, so that its lock can still be built when their own
/// repositories have others.
async fn push_artifacts(
    context: &Context,
    client: &Client,
    (repository, from): (&Repository, Option<&Repository>),
    (name, image): (&str, Sha256),
) -> Result<(), Failure> {
    let store = context.store()?;
    let artifacts = artifacts_of(&store, image).unwrap_or_default();
    let pushes =
        artifacts.iter().map(|artifact| artifact_push(&store, artifact)).collect::<Result<Option<Vec<_>>, _>>()?;
    let Some(pushes) = pushes.filter(|pushes| !pushes.is_empty()) else {
        context.ui().warning(format!(
            "the registry has {name}, but not the packages that it was made of: the cache directory doesn't have them. \
             `mailimg build` and `mailimg push` with the same cache keep them there"
        ));
        return Ok(());
    };
    for push in &pushes {
        client.push(repository, push, from, &|_, _| ()).await?;
    }
    Ok(())
}

/// What to send of an artifact, if the store has all of it.
fn artifact_push<'a>(store: &Store, artifact: &'a Artifact) -> Result<Option<Push<'a>>, RegistryError> {
    let blob = |&(digest, size): &(Sha256, u64)| Some(Blob { digest, size, path: store.find_sized(&digest, size)? });
    let Some(blobs) = artifact.blobs.iter().map(blob).collect() else { return Ok(None) };
    let tags = vec![parse_tag(&artifact.tag())?];
    Ok(Some(Push { blobs, media_type: oci::MANIFEST, manifest: &artifact.manifest.bytes, tags }))
}

fn blobs(layout: &Utf8Path, image: &Image) -> Vec<Blob> {
    let blob = |digest, size| Blob { digest, size, path: oci::blob_path(layout, digest) };
    let Document { digest, bytes } = &image.config;
    let config = blob(*digest, bytes.len() as u64);
    image.layers.iter().map(|layer| blob(layer.digest, layer.size)).chain([config]).collect()
}
