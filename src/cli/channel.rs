use std::collections::BTreeMap;

use camino::Utf8PathBuf;

use super::{Context, Failure, complete};
use crate::config::Project;
use crate::fetch::{Client, Settings};
use crate::packages::{Fetching, Surroundings};
use crate::store::Store;

/// The locks that a command uses, and the sources of their packages.
#[derive(Debug, clap::Args)]
pub(super) struct ChannelArgs {
    /// The architecture, as apk names it: x86_64 or aarch64 [default: the channel's first]
    #[arg(long)]
    arch: Option<String>,
    /// Use this channel instead of the one in mailimg.toml
    #[arg(long, add = complete::channels())]
    channel: Option<String>,
    /// Read the channel's repository NAME from a mirror or directory instead. Everything is verified as usual
    #[arg(long = "repository", value_name = "NAME=URL_OR_DIR", value_parser = name_and_place)]
    repositories: Vec<(String, String)>,
}

impl ChannelArgs {
    /// Opens the project with the channel, and returns the architecture.
    pub(super) fn open(&self, context: &Context) -> Result<(Project, String), Failure> {
        let project = Project::open_with(context.project(), self.channel.as_deref())?;
        let arch = project.channel().architecture(self.arch.as_deref())?;
        Ok((project, arch))
    }

    /// Where packages come from. If a repository is named twice, the last one counts.
    pub(super) fn supply(&self, settings: Settings, cache: Utf8PathBuf) -> Result<Supply, Failure> {
        let overrides = self.repositories.iter().cloned().collect();
        let client = Client::new(Store::open(&cache)?, settings);
        Ok(Supply { overrides, cache, client })
    }
}

/// Where packages come from, and into which store.
pub(super) struct Supply {
    overrides: BTreeMap<String, String>,
    cache: Utf8PathBuf,
    client: Client,
}

impl Supply {
    pub(super) fn surroundings<'a>(&'a self, project: &'a Project) -> Surroundings<'a> {
        Surroundings { base: project.root(), cache: &self.cache, overrides: &self.overrides }
    }

    pub(super) fn store(&self) -> &Store {
        self.client.store()
    }

    pub(super) fn fetching<'a>(&'a self, context: &'a Context) -> Result<Fetching<'a>, Failure> {
        context.fetching(&self.client)
    }
}

fn name_and_place(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, place)) if !name.is_empty() && !place.is_empty() => Ok((name.to_owned(), place.to_owned())),
        _ => Err("expected NAME=URL_OR_DIR, such as main=/srv/alpine/v3.24/main".to_owned()),
    }
}
