use std::time::UNIX_EPOCH;

use camino::{Utf8Path, Utf8PathBuf};

use crate::config::{Mount, Project, Recipe};
use crate::engine::Container;
use crate::timestamp::Timestamp;

/// The services that read their secrets before these were replaced. Files tell by their time, so nothing about a secret
/// has to be kept elsewhere to compare it with. The site's certificate is not among them: services notice a new one by
/// themselves.
pub(super) fn outdated<'a>(project: &'a Project, containers: &[Container]) -> Vec<&'a str> {
    let is_outdated = |recipe: &&Recipe| {
        let container = containers.iter().find(|container| container.service == recipe.name);
        let started = container.and_then(|container| container.started);
        started.is_some_and(|started| newest(project, recipe).is_some_and(|newest| newest >= started))
    };
    project.recipes().filter(is_outdated).map(|recipe| recipe.name.as_str()).collect()
}

/// When the newest secret of a service was made.
fn newest(project: &Project, recipe: &Recipe) -> Option<Timestamp> {
    let directory = project.secrets_dir();
    let own = recipe.service.secrets.keys().map(|name| directory.join(name.as_str()));
    let keys = recipe.service.mounts.contains_key(&Mount::Dkim).then(|| files(&directory.join("dkim")));
    own.chain(keys.into_iter().flatten()).filter_map(|path| changed(&path)).max()
}

fn files(directory: &Utf8Path) -> Vec<Utf8PathBuf> {
    let entries = directory.read_dir_utf8().into_iter().flatten();
    entries.filter_map(|entry| Some(entry.ok()?.into_path())).collect()
}

fn changed(path: &Utf8Path) -> Option<Timestamp> {
    let since = path.metadata().ok()?.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    Timestamp::try_from_unix(since.as_secs())
}
