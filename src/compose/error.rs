use camino::Utf8PathBuf;

use crate::config::{ConfigError, ReadError};

/// Why no compose file can be written.
#[derive(Debug, thiserror::Error)]
pub enum ComposeError {
    /// A recipe asks for what the site doesn't say.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// An image that the site wants is not among those built.
    #[error("the image {image} has not been built")]
    NotBuilt { image: String },
    /// The file can't be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The file is not one that was written for a project.
    #[error("{path} is not a compose file of mailimg")]
    Malformed { path: Utf8PathBuf, source: Box<dyn std::error::Error + Send + Sync> },
    /// The file could not be written as YAML.
    #[error("can't write the compose file as YAML")]
    Yaml { source: Box<dyn std::error::Error + Send + Sync> },
}
