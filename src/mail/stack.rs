//! The running containers, accessed through compose.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use camino::{Utf8Path, Utf8PathBuf};

/// Why a command could not be run in a container.
#[derive(Debug, thiserror::Error)]
pub enum StackError {
    /// There is no compose file.
    #[error("there is no compose file {path}")]
    NoComposeFile { path: Utf8PathBuf },
    #[error("neither `docker compose` nor docker-compose can be run")]
    NoCompose,
    /// The program could not be run.
    #[error("cannot run {program}")]
    Run { program: String, source: std::io::Error },
    /// The service is not up.
    #[error("the service {service} is not running")]
    NotRunning { service: String },
    /// The command ended with an error.
    #[error("{command} failed in the service {service}: {said}")]
    Failed { service: String, command: String, said: String },
}

/// A compose project.
#[derive(Debug)]
pub struct Stack {
    program: &'static [&'static str],
    directory: Utf8PathBuf,
    file: Option<&'static str>,
}

/// The file that `mailimg compose` writes.
const FILE: &str = "compose.yaml";
const PROGRAMS: [&[&str]; 2] = [&["docker", "compose"], &["docker-compose"]];

impl Stack {
    /// The stack described by the compose file in `directory`. As for compose itself, the environment variables
    /// `COMPOSE_FILE` and `COMPOSE_PROJECT_NAME` select another one.
    pub fn open(directory: &Utf8Path) -> Result<Self, StackError> {
        let named = std::env::var_os("COMPOSE_FILE").is_some();
        let path = directory.join(FILE);
        if !named && !path.exists() {
            return Err(StackError::NoComposeFile { path });
        }
        let works = |program: &&&[&str]| {
            let mut command = command(program);
            command.arg("version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            command.status().is_ok_and(|status| status.success())
        };
        let program = PROGRAMS.iter().find(works).ok_or(StackError::NoCompose)?;
        Ok(Self { program, directory: directory.to_owned(), file: (!named).then_some(FILE) })
    }

    /// Runs a program in a service's container with `input` on its standard input; returns its standard output.
    pub fn exec(
        &self,
        service: &str,
        user: Option<&str>,
        program: &[&str],
        input: &[u8],
    ) -> Result<Vec<u8>, StackError> {
        let mut command = command(self.program);
        command.current_dir(&self.directory);
        if let Some(file) = self.file {
            command.args(["--file", file]);
        }
        command.args(["exec", "-T"]);
        if let Some(user) = user {
            command.args(["--user", user]);
        }
        command.arg(service).args(program);
        let output =
            run(command, input).map_err(|source| StackError::Run { program: self.program.join(" "), source })?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        if said.contains("is not running") || said.contains("No container found") {
            return Err(StackError::NotRunning { service: service.to_owned() });
        }
        let command = (*program.first().unwrap_or(&"")).to_owned();
        Err(StackError::Failed { service: service.to_owned(), command, said })
    }
}

fn command(program: &[&str]) -> Command {
    let (name, arguments) = program.split_first().unwrap_or((&"docker-compose", &[]));
    let mut command = Command::new(name);
    command.args(arguments);
    command
}

fn run(mut command: Command, input: &[u8]) -> std::io::Result<Output> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let stdin = child.stdin.take();
    std::thread::scope(|scope| {
        // The program may answer before it has read everything, or exit without reading anything.
        scope.spawn(move || stdin.map(|mut stdin| stdin.write_all(input)));
        child.wait_with_output()
    })
}
