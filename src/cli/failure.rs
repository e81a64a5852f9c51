//! The one place that turns errors into message, hint and exit code.

use std::error::Error;

use super::exit::Exit;

/// Why a command failed, as the user is told.
#[derive(Debug)]
pub(super) struct Failure {
    exit: Exit,
    /// The error and its causes, outermost first.
    messages: Vec<String>,
    /// What to do about it.
    hint: Option<String>,
}

impl Failure {
    /// Takes the message of `error` and of each of its causes.
    pub(super) fn new(exit: Exit, error: &dyn Error) -> Self {
        let mut messages = vec![error.to_string()];
        let mut cause = error.source();
        while let Some(error) = cause {
            messages.push(error.to_string());
            cause = error.source();
        }
        Self { exit, messages, hint: None }
    }

    /// Adds what to do about it.
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(super) fn code(&self) -> Exit {
        self.exit
    }

    pub(super) fn messages(&self) -> &[String] {
        &self.messages
    }

    pub(super) fn advice(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::new(Exit::System, &error)
    }
}
