//! Images from their locks, for commands that build or describe them.

use std::ffi::OsString;

use serde_json::{Value, json};

use super::channel::Supply;
use super::complete;
use super::exit::Exit;
use super::locked::LockedArgs;
use super::{Context, Failure};
use crate::build::{Options, Selection};
use crate::config::{Project, parse_label};
use crate::oci::{Image, Platform};
use crate::timestamp::Timestamp;

/// The images that a command uses.
#[derive(Debug, clap::Args)]
pub(super) struct ImageArgs {
    /// The images [default: all images in mailimg.toml]
    #[arg(add = complete::images())]
    images: Vec<String>,
    /// Set a label of the images' configuration, over the recipe's; can be given several times
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = parse_label)]
    labels: Vec<(String, String)>,
    /// Set an annotation of the images' manifests, over the recipe's; can be given several times
    #[arg(long = "annotation", value_name = "KEY=VALUE", value_parser = parse_label)]
    annotations: Vec<(String, String)>,
    #[command(flatten)]
    locked: LockedArgs,
}

impl ImageArgs {
    pub(super) fn open(&self, context: &Context) -> Result<Selection, Failure> {
        let (project, arch) = self.locked.open(context)?;
        Ok(Selection::open(project, arch, &self.images, self.options()?)?)
    }

    /// Where the packages of the images come from.
    pub(super) fn supply(&self, context: &Context) -> Result<Supply, Failure> {
        self.locked.supply(context.cache_dir()?)
    }

    /// The images. Unknown ones are built into the store.
    pub(super) fn build(
        &self,
        selection: &Selection,
        supply: &Supply,
        context: &Context,
    ) -> Result<Vec<Image>, Failure> {
        Ok(selection.build(supply.surroundings(selection.project()), supply.fetching(context)?)?)
    }

    fn options(&self) -> Result<Options, Failure> {
        let entries = |entries: &[(String, String)]| entries.iter().cloned().collect();
        let created = source_date_epoch()?;
        Ok(Options { created, labels: entries(&self.labels), annotations: entries(&self.annotations) })
    }
}

/// All images of the project as `mailimg build` builds them without arguments, and their architecture.
pub(super) fn own_selection(context: &Context) -> Result<(Selection, Platform), Failure> {
    let project = Project::open(context.project())?;
    let arch = project.channel().architecture(None)?;
    let platform = Platform::of(&arch)?;
    let options = Options { created: source_date_epoch()?, ..Options::default() };
    Ok((Selection::open(project, arch, &[], options)?, platform))
}

/// The time that images say they were made at, from the environment. Make and CI systems pass an empty variable for one
/// that isn't set.
fn source_date_epoch() -> Result<Option<Timestamp>, Failure> {
    let value = std::env::var_os("SOURCE_DATE_EPOCH").filter(|value| !value.is_empty());
    let read = |value: OsString| {
        let text = value.to_string_lossy();
        let seconds = if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None };
        let time = seconds.and_then(Timestamp::try_from_unix);
        time.ok_or_else(|| {
            let message = format!("SOURCE_DATE_EPOCH is {text:?}, which is not a number of seconds since 1970");
            Failure::told(Exit::Usage, message)
                .hint("unset it, or set it as in `SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)`")
        })
    };
    value.map(read).transpose()
}

/// Names and digests for people, one line per image.
pub(super) fn lines(images: &[Image]) -> String {
    let line = |image: &Image| format!("{} {}\n", image.name, image.manifest.digest.to_oci());
    images.iter().map(line).collect()
}

/// An image for programs.
pub(super) fn object(image: &Image) -> Value {
    let layers = image
        .layers
        .iter()
        .map(|layer| json!({ "digest": layer.digest.to_oci(), "diff_id": layer.diff_id.to_oci(), "size": layer.size }));
    json!({
        "image": image.name,
        "arch": image.platform.arch,
        "digest": image.manifest.digest.to_oci(),
        "config": image.config.digest.to_oci(),
        "layers": layers.collect::<Vec<_>>(),
        "size": image.layers.iter().map(|layer| layer.size).sum::<u64>(),
    })
}
