use std::io::{self, Write as _};
use std::process::Command;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};

use super::process::{self, Ended, Limits, Pipe};
use super::{Container, Engine, EngineError, RunError, command, container};
use crate::config::COMPOSE_FILE;

/// The longest answer of a program, in bytes: a list of a million users.
pub(super) const ANSWER_LIMIT: u64 = 256 << 20;

/// For compose to pull images that the engine doesn't have. It also waits for services that others depend on.
const START: Limits = Limits { time: Duration::from_hours(1), output: 1 << 20 };
/// For all containers to stop, one after the other, with the time that they are given.
const STOP: Limits = Limits { time: Duration::from_mins(10), output: 1 << 20 };
const LIST: Limits = Limits { time: Duration::from_mins(1), output: 16 << 20 };

/// The containers of a site: a compose project.
#[derive(Debug, Clone)]
pub struct Stack {
    pub(super) engine: Engine,
    /// The command that starts compose.
    compose: Vec<String>,
    directory: Utf8PathBuf,
    file: Option<&'static str>,
}

/// A program to run in the container of a service.
#[derive(Debug, Clone, Copy)]
pub struct Exec<'a> {
    pub service: &'a str,
    /// The user to run as, if not the image's.
    pub user: Option<&'a str>,
    /// The program and its arguments, which everyone on the host can read.
    pub program: &'a [&'a str],
    /// Its standard input, which may contain secrets.
    pub input: &'a [u8],
    /// How long it may take.
    pub time: Duration,
}

impl Stack {
    /// The stack that the compose file in `directory` describes, on the engine behind `program` (see [`Engine::find`]).
    /// As with compose itself, `COMPOSE_FILE` and `COMPOSE_PROJECT_NAME` in the environment name others.
    pub fn open(directory: &Utf8Path, program: Option<&str>) -> Result<Self, EngineError> {
        let file = own_file(directory)?;
        Self::with(Engine::find(program)?, directory, file)
    }

    /// The same on an engine that is known to answer.
    pub fn on(engine: Engine, directory: &Utf8Path) -> Result<Self, EngineError> {
        let file = own_file(directory)?;
        Self::with(engine, directory, file)
    }

    fn with(engine: Engine, directory: &Utf8Path, file: Option<&'static str>) -> Result<Self, EngineError> {
        let compose = engine.compose()?;
        Ok(Self { engine, compose, directory: directory.to_owned(), file })
    }

    /// Creates and starts what the compose file describes. `running` are its containers so far. Those that already run
    /// as it says are left alone, unless the site has been moved, and those that it no longer mentions are removed.
    pub fn up(&self, running: &[Container]) -> Result<(), EngineError> {
        let up = ["up", "--detach", "--quiet-pull", "--remove-orphans"];
        // Compose doesn't compare where their mounts come from.
        let recreate = running.iter().any(|container| container.has_moved).then_some("--force-recreate");
        self.run(&up.into_iter().chain(recreate).collect::<Vec<_>>(), START)
    }

    /// Starts the containers of these services again.
    pub fn restart(&self, services: &[&str]) -> Result<(), EngineError> {
        self.run(&[&["restart"], services].concat(), STOP)
    }

    /// Stops and removes the containers and networks. Volumes stay.
    pub fn down(&self) -> Result<(), EngineError> {
        self.run(&["down", "--remove-orphans"], STOP)
    }

    /// The containers, by service, whether or not they run. Those of another site that has the same name are an error:
    /// compose would replace them.
    pub fn containers(&self) -> Result<Vec<Container>, EngineError> {
        let listed = self.ask(&["ps", "--all", "--quiet"], LIST)?;
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        let ids: Vec<&str> = listed.split_whitespace().collect();
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let inspect = [&["container", "inspect"], ids.as_slice()].concat();
        let ended = process::run(self.engine.command().args(inspect), LIST, process::nothing);
        let ended = ended.map_err(|source| self.engine.failed(source))?;
        let mut containers = container::read(&ended.stdout)
            .map_err(|source| EngineError::Answer { program: self.engine.program.clone(), source })?;
        let here = self.directory.canonicalize_utf8().ok();
        for container in &mut containers {
            let Some(directory) = container.directory() else { continue };
            let is_here = here.is_some() && directory.canonicalize_utf8().ok() == here;
            // A site that has been moved left nothing behind.
            if !is_here && directory.join(COMPOSE_FILE).exists() {
                return Err(EngineError::Elsewhere { directory: directory.to_owned() });
            }
            container.has_moved = !is_here;
        }
        Ok(containers)
    }

    /// The last line that the container wrote.
    pub fn last_line(&self, container: &Container) -> Option<String> {
        let ended = self.engine.ask(&["logs", "--tail", "1", &container.id]).ok()?;
        let lines = [String::from_utf8_lossy(&ended.stdout).into_owned(), ended.said()].concat();
        lines.lines().map(str::trim).rfind(|line| !line.is_empty()).map(ToOwned::to_owned)
    }

    fn run(&self, arguments: &[&str], limits: Limits) -> Result<(), EngineError> {
        self.ask(arguments, limits).map(|_| ())
    }

    fn ask(&self, arguments: &[&str], limits: Limits) -> Result<Ended, EngineError> {
        tracing::info!("running {} {}", self.compose.join(" "), arguments.join(" "));
        let ended = self.finish(arguments, limits, process::nothing)?;
        if ended.success {
            return Ok(ended);
        }
        let (program, said) = (self.compose.join(" "), ended.last_line());
        let command = (*arguments.first().unwrap_or(&"")).to_owned();
        Err(EngineError::Compose { program, command, said })
    }

    /// Runs compose to its end, whether or not it succeeds.
    pub(super) fn finish(
        &self,
        arguments: &[&str],
        limits: Limits,
        feed: impl FnOnce(Pipe) -> io::Result<()> + Send + 'static,
    ) -> Result<Ended, EngineError> {
        process::run(self.command().args(arguments), limits, feed).map_err(|source| self.failed(source))
    }

    /// Compose for this project.
    pub(super) fn command(&self) -> Command {
        let mut command = command(&self.compose);
        command.current_dir(&self.directory).args(self.file.iter().flat_map(|file| ["--file", file]));
        command
    }

    pub(super) fn failed(&self, source: RunError) -> EngineError {
        EngineError::Run { program: self.compose.join(" "), source }
    }

    /// Runs a program in the container of a service, and returns what it wrote to standard output.
    pub fn exec(&self, exec: &Exec<'_>) -> Result<Vec<u8>, EngineError> {
        let Exec { service, user, program, input, time } = *exec;
        let user: Vec<&str> = user.into_iter().flat_map(|user| ["--user", user]).collect();
        let arguments = [&["exec", "-T"], user.as_slice(), &[service], program].concat();
        let input = input.to_vec();
        let limits = Limits { time, output: ANSWER_LIMIT };
        let ended = self.finish(&arguments, limits, move |mut pipe| pipe.write_all(&input))?;
        if ended.success {
            return Ok(ended.stdout);
        }
        let (service, said) = (service.to_owned(), ended.said());
        if said.contains("is not running") {
            return Err(EngineError::NotRunning { service });
        }
        let command = (*program.first().unwrap_or(&"")).to_owned();
        Err(EngineError::Failed { service, command, said })
    }
}

/// The compose file in `directory`, unless the environment names another.
fn own_file(directory: &Utf8Path) -> Result<Option<&'static str>, EngineError> {
    if std::env::var_os("COMPOSE_FILE").is_some() {
        return Ok(None);
    }
    let path = directory.join(COMPOSE_FILE);
    if path.exists() { Ok(Some(COMPOSE_FILE)) } else { Err(EngineError::NoComposeFile { path }) }
}
