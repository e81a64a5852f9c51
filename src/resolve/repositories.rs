use camino::{Utf8Path, Utf8PathBuf};
use rayon::prelude::*;

use super::ResolveError;
use super::index::fetch_index;
use crate::apk::Keyring;
use crate::apk::index::Index;
use crate::apk::package::DATA_LIMIT;
use crate::fetch::{Location, Request, Size, Source};
use crate::packages::Fetching;
use crate::packages::inspect::file_name;
use crate::progress::Total;
use crate::repo::read_keyring;
use crate::solve::{Plan, Repository, Step, Universe};

/// Repositories that are given one by one instead of by a channel: their packages by verified indexes.
#[derive(Debug)]
pub struct Repositories {
    pub universe: Universe,
    arch: String,
    sources: Vec<Source>,
}

impl Repositories {
    /// Fetches the indexes of repositories, each given by its URL or directory, or as `@TAG URL`, and verifies them with
    /// the keys in the directory `keys`. Not for use inside the runtime.
    pub fn open(texts: &[String], arch: &str, keys: &Utf8Path, fetching: Fetching<'_>) -> Result<Self, ResolveError> {
        let keyring = read_keyring(keys)?;
        let open = |text: &String| open(text, arch, (keys, &keyring), fetching);
        let opened = texts.par_iter().map(open).collect::<Result<Vec<_>, _>>()?;
        let (repositories, sources) = opened.into_iter().unzip();
        Ok(Self { universe: Universe::new(repositories), arch: arch.to_owned(), sources })
    }

    /// The files of the packages of a plan, unverified: those of a directory where they are, others in the store. Not
    /// for use inside the runtime.
    pub fn fetch(&self, plan: &Plan<'_>, fetching: Fetching<'_>) -> Result<Vec<Utf8PathBuf>, ResolveError> {
        let size = plan.steps.iter().filter_map(|step| step.package.file_size).sum();
        let progress = fetching.progress.start("Fetching packages", Total::Bytes(size));
        let fetch = |step: &Step<'_>| {
            let request = self.request(step)?;
            match &request.location {
                Location::File(path) => Ok(path.clone()),
                Location::Url(_) => Ok(fetching.runtime.block_on(fetching.client.fetch(&request, &*progress))?.path),
            }
        };
        plan.steps.iter().map(fetch).collect()
    }

    fn request(&self, step: &Step<'_>) -> Result<Request, ResolveError> {
        let (package, name) = (step.package, file_name(step.package));
        let missing = || ResolveError::NotInIndex { package: name.clone(), field: "repository" };
        let location = self.sources.get(step.repository).ok_or_else(missing)?.file(&self.arch, &name);
        let size = package.file_size.map_or(Size::AtMost(DATA_LIMIT), Size::Exactly);
        Ok(Request { name, location, size, digest: None })
    }
}

fn open(
    text: &str,
    arch: &str,
    (keys, keyring): (&Utf8Path, &Keyring),
    fetching: Fetching<'_>,
) -> Result<(Repository, Source), ResolveError> {
    let (tag, place) = split_tag(text);
    let source = Source::parse(place, Utf8Path::new(""))?;
    let (location, bytes) = fetch_index(&source, arch, fetching)?;
    let signed = Index::read(&bytes, keyring).map_err(|source| ResolveError::GivenIndex {
        location: location.clone(),
        keys: keys.to_owned(),
        source: Box::new(source),
    })?;
    signed.index.log_left_out(&location);
    let Index { packages, left_out, .. } = signed.index;
    Ok((Repository { tag: tag.map(str::to_owned), packages, left_out }, source))
}

fn split_tag(text: &str) -> (Option<&str>, &str) {
    match text.strip_prefix('@').and_then(|rest| rest.split_once(char::is_whitespace)) {
        Some((tag, place)) => (Some(tag), place.trim_start()),
        None => (None, text),
    }
}
