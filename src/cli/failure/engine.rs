use super::{Exit, Failure};
use crate::engine::{EngineError, RunError};

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        let failure = |exit| Self::new(exit, &error);
        match &error {
            EngineError::NoEngine { .. } => failure(Exit::Missing).hint(
                "install Docker (Debian's docker.io, or https://docs.docker.com/engine/install/) and start it; in a \
                 checkout, `scripts/engine` does both. DOCKER_HOST selects an engine on another machine, and --engine \
                 another program, such as podman",
            ),
            EngineError::NoCompose { .. } => failure(Exit::Missing).hint(
                "install Docker's compose plugin (https://docs.docker.com/compose/install/linux/); in a checkout, \
                     `scripts/engine` does",
            ),
            EngineError::Run { source: RunError::TimedOut { .. }, .. } => {
                failure(Exit::Missing).hint("the engine may be overloaded or stuck: see whether `docker info` answers")
            }
            EngineError::Run { .. } => failure(Exit::System),
            EngineError::Load { .. } => {
                failure(Exit::System).hint("see the engine's log, and whether its disk is full")
            }
            EngineError::Compose { .. } => failure(Exit::System).hint(
                "`mailimg logs` shows what the containers wrote. If a port is already in use, another program of \
                 this machine has it: stop that, or set publish.ports in mailimg.toml",
            ),
            EngineError::Elsewhere { directory } => failure(Exit::Usage).hint(format!(
                "if this is another site, give it another `name` in mailimg.toml, and other ports. If it replaces that \
                 one, first run `mailimg -C {directory} down`; the mail stays"
            )),
            EngineError::Answer { .. } => failure(Exit::Refused),
            EngineError::NoComposeFile { .. } => {
                failure(Exit::Missing).hint("start the server with `mailimg up`, which also writes this file")
            }
            EngineError::NotRunning { .. } => failure(Exit::Missing).hint("start the server with `mailimg up`"),
            EngineError::Logs { .. } => failure(Exit::Missing).hint("`docker compose ps --all` lists the services"),
            EngineError::Failed { .. } => failure(Exit::Missing)
                .hint("`mailimg status` and `mailimg logs` may show what is wrong with the service"),
        }
    }
}
