use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};

use super::ObtainError;
use crate::config::{Channel, Project, Recipe};
use crate::fetch::Source;
use crate::lock::{Lock, Place};
use crate::registry::{Prefix, RegistryError, Repository};

/// The sources of a channel's repositories on this machine, in the channel's order.
#[derive(Debug, Clone)]
pub struct Sources {
    by_name: Vec<(String, Source)>,
    registry: Option<Repository>,
}

/// What determines the sources of repositories.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings<'a> {
    /// The project directory, to which relative paths refer.
    pub base: &'a Utf8Path,
    /// The cache directory, the default parent of imported repositories.
    pub cache: &'a Utf8Path,
    /// Overrides by repository name: a mirror or directory.
    pub overrides: &'a BTreeMap<String, String>,
}

/// The default directory for the repository that `mailimg repo import-debian` makes for a channel.
#[must_use]
pub fn imported_repository(cache: &Utf8Path, channel: &str) -> Utf8PathBuf {
    cache.join(channel)
}

/// Where the image is pushed.
fn pushed_to(project: &Project, recipe: &Recipe) -> Result<Option<Repository>, RegistryError> {
    let Some(registry) = &project.site().registry else { return Ok(None) };
    let prefix = Prefix::new(registry.prefix.as_str(), registry.plain_http)?;
    prefix.repository(&recipe.name).map(Some)
}

impl Sources {
    /// The sources of a channel, for locking.
    pub fn of_channel(channel: &Channel, surroundings: Surroundings<'_>) -> Result<Self, ObtainError> {
        let imported = channel.import.iter().map(|import| (import.repository(), None));
        let listed = channel.repositories.iter().map(|repository| (repository.name.as_str(), Some(&*repository.url)));
        Self::new(&channel.name, imported.chain(listed), surroundings)
    }

    /// The sources of a lock, for fetching its packages.
    pub fn of_lock(lock: &Lock, surroundings: Surroundings<'_>) -> Result<Self, ObtainError> {
        let places = lock.repositories.iter().map(|repository| match &repository.place {
            Place::Shared { url, .. } => (repository.name.as_str(), Some(url.as_str())),
            Place::Imported(_) => (repository.name.as_str(), None),
        });
        Self::new(&lock.channel, places, surroundings)
    }

    /// The sources of a lock, and after them the registry to which the image is pushed.
    pub fn of_image(
        project: &Project,
        recipe: &Recipe,
        lock: &Lock,
        surroundings: Surroundings<'_>,
    ) -> Result<Self, ObtainError> {
        let registry = pushed_to(project, recipe).map_err(|source| ObtainError::RegistryName { source })?;
        Ok(Self { registry, ..Self::of_lock(lock, surroundings)? })
    }

    fn new<'a>(
        channel: &str,
        places: impl Iterator<Item = (&'a str, Option<&'a str>)>,
        surroundings: Surroundings<'_>,
    ) -> Result<Self, ObtainError> {
        let Surroundings { base, cache, overrides } = surroundings;
        let mut by_name = Vec::new();
        for (name, url) in places {
            // Read even where overridden: it goes into the image.
            let own = url.map(|url| Source::parse(url, base)).transpose()?;
            let source = match (overrides.get(name), own) {
                (Some(place), _) => Source::parse(place, Utf8Path::new(""))?,
                (None, Some(own)) => own,
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

    /// The registry's repository that may have the members of packages no longer available elsewhere.
    pub(super) fn registry(&self) -> Option<&Repository> {
        self.registry.as_ref()
    }

    /// The source of the repository with this name.
    pub fn get(&self, name: &str) -> Result<&Source, ObtainError> {
        let found = self.by_name.iter().find(|(known, _)| known == name).map(|(_, source)| source);
        found.ok_or_else(|| ObtainError::UnknownRepository {
            name: name.to_owned(),
            known: self.by_name.iter().map(|(name, _)| name.clone()).collect(),
        })
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Source)> {
        self.by_name.iter().map(|(name, source)| (name.as_str(), source))
    }
}
