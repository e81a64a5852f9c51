use camino::Utf8PathBuf;

use super::RunError;

/// Why the engine, or the stack that runs on it, could not do something.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// None of the programs is there and reaches an engine.
    #[error("no container engine answers ({})", .reasons.join("; "))]
    NoEngine {
        /// What each program said.
        reasons: Vec<String>,
    },
    /// There is no compose for the engine.
    #[error("neither `{engine} compose` nor docker-compose can be run")]
    NoCompose {
        /// The engine's program.
        engine: String,
    },
    /// A program could not be run to its end.
    #[error("can't run {program}")]
    Run {
        /// Its name.
        program: String,
        /// Why.
        source: RunError,
    },
    /// The engine did not take an image.
    #[error("`{program} load` refused {image}: {said}")]
    Load {
        /// The image's name.
        image: String,
        /// The engine's program.
        program: String,
        /// The reason that it gave.
        said: String,
    },
    /// There is no compose file.
    #[error("there is no compose file {path}")]
    NoComposeFile {
        /// Where it was looked for.
        path: Utf8PathBuf,
    },
    /// The service is not up.
    #[error("the service {service} is not running")]
    NotRunning {
        /// Its name.
        service: String,
    },
    /// A program in a container ended with an error.
    #[error("{command} failed in the service {service}: {said}")]
    Failed {
        /// Name of the service.
        service: String,
        /// The program.
        command: String,
        /// What it wrote to standard error.
        said: String,
    },
}
