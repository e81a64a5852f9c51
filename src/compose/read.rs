use std::collections::BTreeMap;

use camino::Utf8Path;
use serde::Deserialize;

use super::{CONFIGURATION, ComposeError};

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

/// The compose file at `path`, if there is one.
pub fn read(path: &Utf8Path) -> Result<Option<ComposeFile>, ComposeError> {
    let text = match std::fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(ComposeError::Read { path: path.to_owned(), source }),
        Ok(text) => text,
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
