use std::io;

use camino::Utf8PathBuf;

use super::TagError;
use crate::http::HttpError;
use crate::store::StoreError;

/// Why a registry could not be used.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The name is not `host[:port]/path`.
    #[error("{name:?} is not a repository in a registry: expected host[:port]/path in lower case")]
    Name {
        /// The name as given.
        name: String,
    },
    /// Not a tag.
    #[error(transparent)]
    Tag(#[from] TagError),
    /// No answer.
    #[error("{url} can't be reached")]
    Unreachable {
        /// What was asked for.
        url: String,
        /// What happened.
        #[source]
        source: HttpError,
    },
    /// The registry wants other credentials, or some.
    #[error("{}", denial(repository, *status, *logged_in, said))]
    Denied {
        /// The repository that was asked for.
        repository: String,
        /// The HTTP status.
        status: u16,
        /// Whether there were credentials to show.
        logged_in: bool,
        /// What the registry says about it.
        said: String,
    },
    /// An answer that the protocol does not allow at this point.
    #[error("{url} answered {status}{}", after_colon(said))]
    Unexpected {
        /// What was asked for.
        url: String,
        /// The HTTP status.
        status: u16,
        /// The beginning of what it said.
        said: String,
    },
    /// The registry wants to be authenticated against in a way that is not known or not safe.
    #[error("can't authenticate against the registry {host}: {reason}")]
    Challenge {
        /// The registry.
        host: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The registry stored the manifest under another digest than the one that was sent.
    #[error("{url} stored the manifest as {found} instead of {expected}")]
    Stored {
        /// Where it was put.
        url: String,
        /// The manifest's own digest.
        expected: String,
        /// What the registry says.
        found: String,
    },
    /// The registry doesn't have a blob.
    #[error("{repository} has no {digest}")]
    Missing {
        /// The repository.
        repository: String,
        /// The blob.
        digest: String,
    },
    /// A blob is not what its name says, or can't be kept.
    #[error("{url} can't be used")]
    Blob {
        /// Where it is.
        url: String,
        /// Why.
        #[source]
        source: StoreError,
    },
    /// The blob can't be read from disk.
    #[error("{path} can't be read")]
    Read {
        /// The file.
        path: Utf8PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl RegistryError {
    /// Whether the registry understood what it was asked, and won't do it.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Denied { .. } | Self::Unexpected { status: 400..500, .. })
    }

    /// Whether the registry gave this code (distribution-spec, "Error Codes"), or the beginning of one.
    pub(super) fn says(&self, code: &str) -> bool {
        matches!(self, Self::Unexpected { said, .. } if said.contains(code))
    }
}

fn denial(repository: &str, status: u16, logged_in: bool, said: &str) -> String {
    let why = if logged_in {
        format!("the registry denies access to {repository} with the credentials given ({status})")
    } else {
        format!("the registry denies access to {repository} without credentials ({status})")
    };
    why + &after_colon(said)
}

fn after_colon(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!(": {said}") }
}
