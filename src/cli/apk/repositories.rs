//! Repositories given on the command line.

use camino::{Utf8Path, Utf8PathBuf};
use rayon::prelude::*;

use crate::apk::index::{self, Index};
use crate::apk::package::DATA_LIMIT;
use crate::apk::{Dependency, Keyring, Package};
use crate::cli::exit::Exit;
use crate::cli::{Context, Failure};
use crate::fetch::{Client, Location, Request, Settings, Size, Source};
use crate::progress::Silent;
use crate::repo::read_keyring;
use crate::solve::{Repository, Universe};

/// The repositories and keys to use.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct RepositoryArgs {
    /// A repository: the URL or directory that contains ARCH/APKINDEX.tar.gz, or "@TAG URL" for a tagged one. Give the
    /// preferred one first
    #[arg(long = "repository", value_name = "URL_OR_DIR", required = true)]
    repositories: Vec<String>,
    /// A directory with the public keys to trust, NAME.rsa.pub
    #[arg(long, value_name = "DIR")]
    keys_dir: Utf8PathBuf,
    /// The architecture, as apk names it
    #[arg(long, default_value = "x86_64")]
    arch: String,
    /// The packages to install, in apk's notation: NAME, NAME>=VERSION, NAME@TAG, !NAME
    #[arg(value_name = "PKG", required = true)]
    world: Vec<String>,
}

/// Verified indexes, and how to fetch their packages.
pub(super) struct Offer {
    pub(super) universe: Universe,
    pub(super) world: Vec<Dependency>,
    pub(super) arch: String,
    sources: Vec<Source>,
}

impl RepositoryArgs {
    /// Reads and verifies the indexes.
    pub(super) fn read(&self, context: &Context) -> Result<Offer, Failure> {
        let world = Dependency::parse_list(&self.world.join(" "))?;
        let keyring = read_keyring(&self.keys_dir)?;
        let (repositories, sources) = self
            .repositories
            .par_iter()
            .map(|text| self.repository(text, &keyring, context))
            .collect::<Result<Vec<_>, _>>()?
            .into_iter()
            .unzip();
        Ok(Offer { universe: Universe::new(repositories), world, arch: self.arch.clone(), sources })
    }

    fn repository(&self, text: &str, keyring: &Keyring, context: &Context) -> Result<(Repository, Source), Failure> {
        let (tag, place) = split_tag(text);
        let source = Source::parse(place, Utf8Path::new(""))?;
        let location = source.file(&self.arch, "APKINDEX.tar.gz");
        let path = obtain(&location, "APKINDEX.tar.gz", Size::AtMost(index::FILE_LIMIT), context)?;
        let signed = Index::read(&read_limited(&path, index::FILE_LIMIT)?, keyring).map_err(|error| {
            let hint = format!("the index is {location}, the keys are in {}", self.keys_dir);
            Failure::new(Exit::Refused, &error).hint(hint)
        })?;
        signed.index.log_left_out(&location);
        let Index { packages, left_out, .. } = signed.index;
        Ok((Repository { tag: tag.map(str::to_owned), packages, left_out }, source))
    }

    /// Their lines in `etc/apk/repositories`.
    pub(super) fn lines(&self) -> Vec<String> {
        self.repositories.clone()
    }
}

impl Offer {
    /// The local file of a package of the repository at `position`.
    pub(super) fn file(&self, position: usize, package: &Package, context: &Context) -> Result<Utf8PathBuf, Failure> {
        let name = format!("{}-{}.apk", package.name, package.version);
        let missing = || Failure::new(Exit::Missing, &std::io::Error::other(format!("no repository has {name}")));
        let location = self.sources.get(position).ok_or_else(missing)?.file(&self.arch, &name);
        let size = package.file_size.map_or(Size::AtMost(DATA_LIMIT), Size::Exactly);
        obtain(&location, &name, size, context)
    }
}

/// Returns a local file directly, and a server's file from the store, fetching it first.
fn obtain(location: &Location, name: &str, size: Size, context: &Context) -> Result<Utf8PathBuf, Failure> {
    if let Location::File(path) = location {
        return Ok(path.clone());
    }
    let client = Client::new(context.store()?, Settings::default());
    let request = Request { name: name.to_owned(), location: location.clone(), size, digest: None };
    Ok(context.block_on(client.fetch(&request, &Silent))??.path)
}

fn split_tag(text: &str) -> (Option<&str>, &str) {
    match text.strip_prefix('@').and_then(|rest| rest.split_once(char::is_whitespace)) {
        Some((tag, place)) => (Some(tag), place.trim_start()),
        None => (None, text),
    }
}

fn read_limited(path: &Utf8Path, limit: u64) -> Result<Vec<u8>, Failure> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    fs_err::File::open(path)
        .map_err(|error| Failure::new(Exit::Missing, &error))?
        .take(limit + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        let error = std::io::Error::other(format!("{path} is larger than {limit} bytes"));
        return Err(Failure::new(Exit::Refused, &error));
    }
    Ok(bytes)
}
