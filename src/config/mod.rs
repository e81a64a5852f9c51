//! The files that people write: the site's `mailimg.toml`, recipes, channels, and the files to bake.
//!
//! Every error names the file, line and key.

mod bake;
mod channel;
mod compile;
mod credentials;
mod document;
mod error;
mod fields;
mod files;
mod label;
mod name_server;
mod network;
mod project;
mod recipe;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod schema;
mod scripts;
mod secrets;
mod site;
mod size;
mod template;
mod values;

#[cfg(test)]
mod tests;

pub use bake::{BakedFile, Contents, bake};
pub use channel::{Channel, Import, Repository};
pub use credentials::{CREDENTIALS_ADVICE, has_credentials, hide_credentials, hide_in_message};
pub use document::TOML_LIMIT;
pub use error::{ConfigError, Wrong};
pub use files::{Files, Kind, ReadError};
pub use label::{LabelError, parse_label};
pub use project::{COMPOSE_FILE, Project, SITE_FILE, channels};
pub use recipe::{
    Directory, FileRule, Group, Healthcheck, ImageConfig, Link, Mount, Network, Recipe, RecipeChannel, Role,
    SecretKind, Service, User,
};
pub use scripts::{SCRIPT_NAMES, ScriptRule};
pub use secrets::Secret;
pub use site::{Antivirus, Dkim, Dmarc, Limits, Publish, Registry, Site, Smtp, Tls};
pub use size::Size;
pub use values::{AbsolutePath, Address, DomainName, Mode, Name, Port, SiteName, ValueError, Word};

/// Reads another stage's TOML file. Errors name file, line and key, as they do for the project's files.
pub fn read_toml<T: serde::de::DeserializeOwned>(files: &Files, path: &camino::Utf8Path) -> Result<T, ConfigError> {
    document::Document::read(files, path)?.parse()
}
