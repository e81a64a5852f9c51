use std::collections::BTreeMap;

use camino::Utf8Path;
use serde::Deserialize;

use super::{CONFIGURATION, ComposeError};
use crate::config::Files;

/// A service in a compose file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Composed {
    /// The name of its image.
    pub image: String,
    /// Its [`CONFIGURATION`] label.
    pub configuration: Option<String>,
}

/// A compose file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComposeFile {
    pub text: String,
    pub services: BTreeMap<String, Composed>,
}

/// The longest compose file, in bytes. One of ten services has about 20 kilobytes.
const LIMIT: u64 = 4 * 1024 * 1024;

/// The compose file at `path`, if the project has one.
pub fn read(files: &Files, path: &Utf8Path) -> Result<Option<ComposeFile>, ComposeError> {
    let text = match files.read_text(path, LIMIT) {
        Err(error) if error.is_missing() => return Ok(None),
        text => text?,
    };
    let malformed = |error| ComposeError::Malformed { path: path.to_owned(), source: Box::new(error) };
    let file: File = serde_saphyr::from_str(&text).map_err(malformed)?;
    let composed =
        |Service { image, mut labels }: Service| Composed { image, configuration: labels.remove(CONFIGURATION) };
    let services = file.services.into_iter().map(|(name, service)| (name, composed(service))).collect();
    Ok(Some(ComposeFile { text, services }))
}

#[derive(Deserialize)]
struct File {
    services: BTreeMap<String, Service>,
}

#[derive(Deserialize)]
struct Service {
    image: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}
