//! The only place that turns errors into messages, hints and exit codes.

mod build;
mod compose;
mod config;
mod deploy;
mod engine;
mod import;
mod lock;
mod mail;
mod packages;
mod probe;
mod registry;
mod repo;
mod report;
mod resolve;
mod rootfs;
mod solve;

use std::error::Error;

use super::exit::Exit;
use crate::config::CREDENTIALS_ADVICE;
use crate::fetch::{FetchError, SourceError};
use crate::store::{StoreError, WriteError};

/// Why a command failed, as shown to the user.
#[derive(Debug)]
pub(super) struct Failure {
    exit: Exit,
    /// The error and its causes, outermost first.
    messages: Vec<String>,
    /// What to do about it.
    hint: Option<String>,
}

impl Failure {
    /// Collects the messages of `error` and of its causes. If the root cause is a system error, adds a hint.
    pub(super) fn new(exit: Exit, error: &dyn Error) -> Self {
        let mut messages = vec![error.to_string()];
        let mut hint = None;
        let mut cause = error.source();
        while let Some(error) = cause {
            messages.push(error.to_string());
            hint = hint.or_else(|| error.downcast_ref().and_then(refusal_hint).map(ToOwned::to_owned));
            cause = error.source();
        }
        // Some libraries' errors say only what their cause says.
        messages.dedup();
        Self { exit, messages, hint }
    }

    /// A failure with only a message.
    pub(super) fn told(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, messages: vec![message.into()], hint: None }
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
        let hint = refusal_hint(&error).map(ToOwned::to_owned);
        Self { hint, ..Self::new(Exit::System, &error) }
    }
}

/// The hint for a file system error, wherever it occurred.
fn refusal_hint(error: &std::io::Error) -> Option<&'static str> {
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            Some("free some space there and try again; existing content is unchanged")
        }
        std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
            Some("run as a user with the necessary permissions, or choose another place")
        }
        // Only for threads and processes: nothing else here is asked not to wait.
        std::io::ErrorKind::WouldBlock => {
            Some("raise the limits on processes and memory: those of `ulimit`, or those of the container")
        }
        _ => None,
    }
}

const DISK_FULL: &str = "free some space, or choose another place with --cache-dir";

/// The hint for a file system error in the cache directory.
fn system_hint(error: &std::io::Error) -> Option<&'static str> {
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Some(DISK_FULL),
        std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
            Some("run as a user who can write there, or choose another place with --cache-dir")
        }
        _ => None,
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let exit = match &error {
            StoreError::Digest { .. } | StoreError::TooLarge { .. } => Exit::Refused,
            StoreError::Shared { .. } | StoreError::Foreign { .. } => Exit::Usage,
            StoreError::Io { .. } | StoreError::Source { .. } | StoreError::Thread { .. } | StoreError::Busy { .. } => {
                Exit::System
            }
        };
        let failure = Self::new(exit, &error);
        match &error {
            StoreError::Io { source, .. } => match system_hint(source) {
                Some(hint) => failure.hint(hint),
                None => failure,
            },
            StoreError::Busy { .. } => failure.hint("wait until it has finished"),
            StoreError::Shared { path, .. } => failure.hint(format!(
                "whoever can write to the cache decides what is built: `chmod go-w {path}`, or use a cache of your own \
                 with --cache-dir"
            )),
            StoreError::Foreign { .. } => failure.hint(
                "whoever can write to the cache decides what is built: use a cache of your own with --cache-dir, or name \
                 this one with it if you trust that user",
            ),
            _ => failure,
        }
    }
}

impl From<WriteError> for Failure {
    fn from(error: WriteError) -> Self {
        Self::new(Exit::System, &error)
    }
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        let failure = Self::new(Exit::Usage, &error);
        match error {
            SourceError::Credentials { .. } => failure.hint(CREDENTIALS_ADVICE),
            _ => failure,
        }
    }
}

impl From<FetchError> for Failure {
    fn from(error: FetchError) -> Self {
        let exit = match &error {
            FetchError::Size { .. } | FetchError::TooLarge { .. } | FetchError::Digest { .. } => Exit::Refused,
            FetchError::File { .. } | FetchError::Store { .. } => Exit::System,
            _ => Exit::Missing,
        };
        let failure = Self::new(exit, &error);
        match &error {
            FetchError::NotFound { .. } => failure.hint(
                "if the repository has replaced the package since it was locked, update the lock with `mailimg lock`, \
                 or fetch the package with `--repository NAME=URL_OR_DIR` from a mirror that still has it",
            ),
            FetchError::Size { .. } | FetchError::Digest { .. } => failure.hint(
                "the file was changed in transit or at its source, or the lock was edited; nothing was kept. This also \
                 happens while a mirror is being updated: try again later, or use another mirror with `--repository \
                 NAME=URL_OR_DIR`",
            ),
            FetchError::Denied { location, redirected_to, .. } => {
                let host = redirected_to.as_deref().or(location.host()).unwrap_or("HOST");
                failure.hint(format!(
                    "give credentials in ~/.netrc (machine {host} login USER password PASSWORD), or in the environment \
                     (HTTP_AUTH=basic:{host}:USER:PASSWORD). Object storage also answers 403 for files that are gone"
                ))
            }
            FetchError::Offline { .. } => failure.hint("run once without --offline"),
            FetchError::Network { .. } | FetchError::Status { .. } => failure.hint(
                "check the network and proxy settings (HTTPS_PROXY, NO_PROXY), or name a mirror with \
                 `--repository NAME=URL_OR_DIR`",
            ),
            FetchError::Store { source: StoreError::Io { source, .. }, .. } => match system_hint(source) {
                Some(hint) => failure.hint(hint),
                None => failure,
            },
            _ => failure,
        }
    }
}
