use std::collections::BTreeMap;

use camino::Utf8Path;

use super::ResolveError;
use crate::apk::Keyring;
use crate::apk::signature::{KEY_LIMIT, Pins};
use crate::config::Channel;
use crate::digest::Sha256;
use crate::fetch::{FetchError, Request, Size, Source};
use crate::packages::Fetching;
use crate::progress::Total;

/// The trusted keys of a channel whose files could be read.
pub(super) struct Trusted {
    pub(super) keyring: Keyring,
    pub(super) fingerprints: BTreeMap<String, Sha256>,
}

impl Trusted {
    fn new() -> Self {
        Self { keyring: Keyring::new(), fingerprints: BTreeMap::new() }
    }

    fn add(&mut self, channel: &Channel, name: &str, path: &str, pem: &[u8]) -> Result<(), ResolveError> {
        let mut pins = Pins::default();
        for (name, fingerprint) in &channel.keys {
            pins.add(name, *fingerprint);
        }
        let result = match channel.import {
            Some(_) => self.keyring.trust(name, pem),
            None => self.keyring.trust_pinned(name, pem, &pins),
        };
        result.map_err(|source| ResolveError::Key { path: path.to_owned(), source })?;
        // As pinned, whatever the file's line ends.
        let fingerprint = pins.get(name).filter(|_| channel.import.is_none()).unwrap_or_else(|| Sha256::of(pem));
        self.fingerprints.insert(name.to_owned(), fingerprint);
        Ok(())
    }
}

/// Reads the channel's keys from `directory` if given, otherwise from the location in the channel.
///
/// Only keys with a fingerprint in the channel are trusted; other files in the directory are ignored. The key of an
/// imported channel was created on this machine, so every key in its directory is trusted.
pub(super) async fn trusted(
    channel: &Channel,
    directory: Option<&Utf8Path>,
    fetching: Fetching<'_>,
) -> Result<Trusted, ResolveError> {
    let trusted = match (directory, &channel.keys_url) {
        (Some(directory), _) => from_directory(channel, directory)?,
        (None, Some(url)) => from_server(channel, url, fetching).await?,
        (None, None) => Trusted::new(),
    };
    if trusted.keyring.is_empty() {
        let (channel, directory) = (channel.name.clone(), directory.map(Utf8Path::to_owned));
        return Err(ResolveError::NoKeys { channel, directory });
    }
    Ok(trusted)
}

fn from_directory(channel: &Channel, directory: &Utf8Path) -> Result<Trusted, ResolveError> {
    let failed = |source| ResolveError::Read { path: directory.to_owned(), source };
    let mut trusted = Trusted::new();
    let mut entries = directory.read_dir_utf8().map_err(failed)?.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    entries.sort_by(|a, b| a.file_name().cmp(b.file_name()));
    for entry in entries {
        let (name, path) = (entry.file_name(), entry.path());
        if !name.ends_with(".rsa.pub") || (channel.import.is_none() && !channel.keys.contains_key(name)) {
            continue;
        }
        let pem = std::fs::read(path).map_err(|source| ResolveError::Read { path: path.to_owned(), source })?;
        trusted.add(channel, name, path.as_str(), &pem)?;
    }
    Ok(trusted)
}

async fn from_server(channel: &Channel, url: &str, fetching: Fetching<'_>) -> Result<Trusted, ResolveError> {
    let source = Source::parse(url, Utf8Path::new(""))?;
    let step = fetching.progress.start("Fetching keys", Total::Unknown);
    let mut trusted = Trusted::new();
    for (name, fingerprint) in &channel.keys {
        let request = Request {
            name: name.clone(),
            location: source.below(&[name]),
            size: Size::AtMost(KEY_LIMIT),
            digest: Some(*fingerprint),
        };
        let entry = match fetching.client.fetch(&request, &*step).await {
            Ok(entry) => entry,
            // Retired keys aren't available everywhere. If one is needed, verification fails.
            Err(FetchError::NotFound { .. }) => {
                tracing::info!("the key {} does not exist", request.location);
                continue;
            }
            Err(source @ (FetchError::Network { .. } | FetchError::Status { .. })) => {
                return Err(ResolveError::Keys { channel: channel.name.clone(), source });
            }
            Err(error) => return Err(error.into()),
        };
        let pem =
            std::fs::read(&entry.path).map_err(|source| ResolveError::Read { path: entry.path.clone(), source })?;
        trusted.add(channel, name, entry.path.as_str(), &pem)?;
    }
    Ok(trusted)
}
