use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};

use super::ObtainError;
use crate::config::Channel;
use crate::fetch::Source;
use crate::lock::{Lock, Place};
use crate::registry::Repository;

/// Where each repository of a channel is read from on this machine, in the channel's order.
#[derive(Debug, Clone)]
pub struct Sources {
    by_name: Vec<(String, Source)>,
    registry: Option<Repository>,
}

/// What decides where repositories are read from.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings<'a> {
    /// What relative directories are relative to: the project.
    pub base: &'a Utf8Path,
    /// The cache directory, below which imported repositories are by default.
    pub cache: &'a Utf8Path,
    /// Other places, by the repository's name: a mirror, a directory.
    pub overrides: &'a BTreeMap<String, String>,
}

/// Where `mailimg repo import-debian` keeps the repository of a channel unless told otherwise.
#[must_use]
pub fn imported_repository(cache: &Utf8Path, channel: &str) -> Utf8PathBuf {
    cache.join(channel)
}

impl Sources {
    /// Of a channel, to lock against it.
    pub fn of_channel(channel: &Channel, surroundings: Surroundings<'_>) -> Result<Self, ObtainError> {
        let imported = channel.import.iter().map(|import| (import.repository(), None));
        let listed = channel.repositories.iter().map(|repository| (repository.name.as_str(), Some(&*repository.url)));
        Self::new(&channel.name, imported.chain(listed), surroundings)
    }

    /// Of a lock, to fetch what it pins.
    pub fn of_lock(lock: &Lock, surroundings: Surroundings<'_>) -> Result<Self, ObtainError> {
        let places = lock.repositories.iter().map(|repository| match &repository.place {
            Place::Shared { url, .. } => (repository.name.as_str(), Some(url.as_str())),
            Place::Imported(_) => (repository.name.as_str(), None),
        });
        Self::new(&lock.channel, places, surroundings)
    }

    fn new<'a>(
        channel: &str,
        places: impl Iterator<Item = (&'a str, Option<&'a str>)>,
        surroundings: Surroundings<'_>,
    ) -> Result<Self, ObtainError> {
        let Surroundings { base, cache, overrides } = surroundings;
        let mut by_name = Vec::new();
        for (name, url) in places {
            let source = match (overrides.get(name), url) {
                (Some(place), _) => Source::parse(place, Utf8Path::new(""))?,
                (None, Some(url)) => Source::parse(url, base)?,
                (None, None) => Source::Directory(imported_repository(cache, channel)),
            };
            by_name.push((name.to_owned(), source));
        }
        let names: Vec<_> = by_name.iter().map(|(name, _)| name.clone()).collect();
        match overrides.keys().find(|name| !names.contains(name)) {
            Some(name) => Err(ObtainError::UnknownRepository { name: name.clone(), known: names }),
            None => Ok(Self { by_name, registry: None }),
        }
    }

    /// With a repository of a registry that may hold packages' members, for packages that are nowhere else any more.
    #[must_use]
    pub fn or_from(self, registry: Option<Repository>) -> Self {
        Self { registry, ..self }
    }

    /// The registry's repository.
    pub(super) fn registry(&self) -> Option<&Repository> {
        self.registry.as_ref()
    }

    /// Where the repository of this name is.
    pub fn get(&self, name: &str) -> Result<&Source, ObtainError> {
        let found = self.by_name.iter().find(|(known, _)| known == name).map(|(_, source)| source);
        found.ok_or_else(|| ObtainError::UnknownRepository {
            name: name.to_owned(),
            known: self.by_name.iter().map(|(name, _)| name.clone()).collect(),
        })
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Source)> {
        self.by_name.iter().map(|(name, source)| (name.as_str(), source))
    }
}
