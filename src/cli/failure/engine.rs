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
            EngineError::Compose { said, .. } => failure(Exit::System).hint(what_helps(said)),
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

/// What to do about what compose or the engine said.
fn what_helps(said: &str) -> &'static str {
    let says = |reasons: &[&str]| reasons.iter().any(|reason| said.contains(reason));
    if says(&["port is already allocated", "address already in use"]) {
        "another program on this machine is using the port: stop it, or set publish.ports in mailimg.toml"
    } else if says(&["source path does not exist"]) {
        "create that directory, or name another in mailimg.toml"
    } else if says(&["No such image", "pull access denied", "manifest unknown"]) {
        "the engine has no such image: load it with `mailimg load`, or push it to the registry with `mailimg push`"
    } else {
        "`mailimg logs` shows what the containers wrote"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Docker and Compose put it.
    #[test]
    fn what_helps_depends_on_what_is_wrong() {
        for (said, help) in [
            ("Bind for 127.0.0.1:25 failed: port is already allocated", "publish.ports"),
            ("listen tcp4 0.0.0.0:25: bind: address already in use", "publish.ports"),
            (
                "invalid mount config for type \"bind\": bind source path does not exist: /etc/none",
                "create that directory",
            ),
            ("pull access denied for mailimg/postfix, repository does not exist", "mailimg push"),
            ("No such image: mailimg/postfix:0123", "mailimg load"),
            ("context deadline exceeded", "mailimg logs"),
        ] {
            assert!(what_helps(said).contains(help), "{said}: {}", what_helps(said));
        }
    }
}
