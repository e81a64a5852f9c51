use std::io;

use camino::Utf8PathBuf;

use crate::config::ConfigError;

/// Why no compose file can be written.
#[derive(Debug, thiserror::Error)]
pub enum ComposeError {
    /// A recipe asks for what the site doesn't say.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The project directory can't be read.
    #[error("can't read {path}")]
    Read { path: Utf8PathBuf, source: io::Error },
    /// An image that the site wants is not among those built.
    #[error("the image {image} has not been built")]
    NotBuilt { image: String },
    /// No image publishes the port.
    #[error("no image publishes port {port}: the published ports are \
             {}", .known.iter().map(u16::to_string).collect::<Vec<_>>().join(", "))]
    UnknownPort { port: u16, known: Vec<u16> },
    /// Two published ports would be the same one of the host.
    #[error("host port {port} would be published twice")]
    PortTwice { port: u16 },
    /// The file could not be written as YAML.
    #[error("can't write the compose file as YAML")]
    Yaml { source: Box<dyn std::error::Error + Send + Sync> },
}
