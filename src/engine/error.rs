use camino::Utf8PathBuf;

use super::RunError;

/// Why the engine, or the stack on it, failed.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// No program exists that reaches an engine.
    #[error("no container engine answers ({})", .reasons.join("; "))]
    NoEngine { reasons: Vec<String> },
    /// There is no compose for the engine.
    #[error("can't run `{engine} compose` or a docker-compose of version 2 or newer")]
    NoCompose { engine: String },
    /// Why a program could not be run to completion.
    #[error("can't run {program}")]
    Run { program: String, source: RunError },
    /// The engine did not load an image.
    #[error("`{program} load` refused {image}: {said}")]
    Load { image: String, program: String, said: String },
    /// There is no compose file.
    #[error("there is no compose file {path}")]
    NoComposeFile { path: Utf8PathBuf },
    /// Compose failed.
    #[error("`{program} {command}` failed: {said}")]
    Compose { program: String, command: String, said: String },
    /// The engine described containers in a way that we don't know.
    #[error("can't understand how {program} describes containers")]
    Answer { program: String, source: serde_json::Error },
    /// The containers of this name are another site's.
    #[error("a site of the same name runs from {directory}")]
    Elsewhere { directory: Utf8PathBuf },
    /// The service is not up.
    #[error("the service {service} is not running")]
    NotRunning { service: String },
    /// A program in a container failed.
    #[error("{command} failed in the service {service}: {said}")]
    Failed { service: String, command: String, said: String },
    /// Compose did not print the logs.
    #[error("can't read the logs: {said}")]
    Logs { said: String },
}
