use std::io::Write as _;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};

use super::process::{self, Limits};
use super::{Engine, EngineError, command};

/// The file that `mailimg compose` writes.
const FILE: &str = "compose.yaml";

/// The longest answer of a program, in bytes: a list of a million users.
const ANSWER_LIMIT: u64 = 256 << 20;

/// The containers of a site: a compose project.
#[derive(Debug)]
pub struct Stack {
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
        let named = std::env::var_os("COMPOSE_FILE").is_some();
        let path = directory.join(FILE);
        if !named && !path.exists() {
            return Err(EngineError::NoComposeFile { path });
        }
        let compose = Engine::find(program)?.compose()?;
        Ok(Self { compose, directory: directory.to_owned(), file: (!named).then_some(FILE) })
    }

    /// Runs a program in the container of a service, and returns what it wrote to standard output.
    pub fn exec(&self, exec: &Exec<'_>) -> Result<Vec<u8>, EngineError> {
        let Exec { service, user, program, input, time } = *exec;
        let mut command = command(&self.compose);
        command.current_dir(&self.directory);
        command.args(self.file.iter().flat_map(|file| ["--file", file]));
        command.args(["exec", "-T"]).args(user.iter().flat_map(|user| ["--user", user]));
        command.arg(service).args(program);
        let input = input.to_vec();
        let limits = Limits { time, output: ANSWER_LIMIT };
        let ended = process::run(&mut command, limits, move |mut pipe| pipe.write_all(&input))
            .map_err(|source| EngineError::Run { program: self.compose.join(" "), source })?;
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
