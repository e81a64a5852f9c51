//! The container engine, used through its command line, and the site's stack on it.
//!
//! Only this module starts `docker` or `podman`. Whatever they are sent or print is bounded in time and size, and
//! secrets go by standard input, never in an argument list.

mod container;
mod error;
mod load;
mod logs;
mod process;
mod stack;

use std::process::Command;
use std::time::Duration;

pub use container::{Container, Health};
pub use error::EngineError;
pub use logs::{LogLine, Logs, Merged, Unkept};
pub use process::RunError;
pub use stack::{Exec, Stack};

use process::{Ended, Limits};

/// The programs to try, in this order, if none is named.
const PROGRAMS: [&str; 2] = ["docker", "podman"];

/// For questions that the engine answers from memory; a busy machine needs some seconds.
const QUESTION: Limits = Limits { time: Duration::from_mins(1), output: 1 << 20 };

/// A container engine that answers.
#[derive(Debug, Clone)]
pub struct Engine {
    program: String,
}

impl Engine {
    /// The engine of `program`, or the first of `docker` and `podman` that answers.
    pub fn find(program: Option<&str>) -> Result<Self, EngineError> {
        let programs = program.map_or(PROGRAMS.to_vec(), |program| vec![program]);
        let mut reasons = Vec::new();
        for program in programs {
            let engine = Self { program: program.to_owned() };
            match engine.ask(&["version"]) {
                Ok(Ended { success: true, .. }) => return Ok(engine),
                Ok(ended) => reasons.push(format!("{program}: {}", ended.last_line())),
                Err(RunError::Start(error)) => reasons.push(format!("{program}: {error}")),
                Err(source) => return Err(EngineError::Run { program: program.to_owned(), source }),
            }
        }
        Err(EngineError::NoEngine { reasons })
    }

    /// The command that runs compose: the engine's plugin, or the same as a program of its own, unless that is the first
    /// version, which can't read the compose file.
    fn compose(&self) -> Result<Vec<String>, EngineError> {
        let own = vec![self.program.clone(), "compose".to_owned()];
        let works = |program: &Vec<String>| {
            let ended = process::run(command(program).args(["version", "--short"]), QUESTION, process::nothing);
            let own = program.len() > 1;
            ended.is_ok_and(|ended| ended.success && (own || !ended.stdout.starts_with(b"1.")))
        };
        let mut programs = [own, vec!["docker-compose".to_owned()]].into_iter();
        programs.find(works).ok_or_else(|| EngineError::NoCompose { engine: self.program.clone() })
    }

    fn command(&self) -> Command {
        Command::new(&self.program)
    }

    fn ask(&self, arguments: &[&str]) -> Result<Ended, RunError> {
        process::run(self.command().args(arguments), QUESTION, process::nothing)
    }

    fn failed(&self, source: RunError) -> EngineError {
        EngineError::Run { program: self.program.clone(), source }
    }
}

/// A program with its first arguments.
fn command(program: &[String]) -> Command {
    let mut words = program.iter();
    let mut command = Command::new(words.next().map_or("", String::as_str));
    command.args(words);
    command
}
