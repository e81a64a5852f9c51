use camino::Utf8Path;
use rayon::prelude::*;

use super::ResolveError;
use super::index::fetch_index;
use super::make::check_checksum;
use crate::apk::Keyring;
use crate::apk::index::Index;
use crate::apk::package::{DATA_LIMIT, PackageError, PackageFiles, Unparsed};
use crate::fetch::{Fetched, Request, Size, Source};
use crate::packages::inspect::file_name;
use crate::packages::{Fetching, ObtainError, download};
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

    /// Fetches the packages of a plan, checks that they are those in the index, and reads them. What `read` finds in
    /// each file is returned with it. Not for use inside the runtime.
    pub fn read<T: Send>(
        &self,
        plan: &Plan<'_>,
        fetching: Fetching<'_>,
        read: impl Fn(&mut Fetched) -> Result<T, PackageError> + Sync,
    ) -> Result<Vec<(PackageFiles, T)>, ResolveError> {
        let requests = plan.steps.iter().map(|step| self.request(step)).collect::<Result<Vec<_>, _>>()?;
        download::each(fetching, (&requests, &plan.steps), |step, file| {
            let (package, mut file) = (file_name(step.package), file?);
            let refused = |source| ObtainError::Package { package: package.clone(), source };
            let unparsed = Unparsed::new(&mut file).map_err(refused)?;
            check_checksum(step.package, unparsed.head().checksum())?;
            let (files, _) = unparsed.parse().and_then(PackageFiles::read_on).map_err(refused)?;
            file.rewind().map_err(|source| refused(PackageError::Read(source)))?;
            Ok((files.listed_for(&step.package.arch), read(&mut file).map_err(refused)?))
        })
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
