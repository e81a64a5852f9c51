use std::io;

use camino::Utf8PathBuf;

use super::TagError;
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
        /// What the network said.
        #[source]
        source: reqwest::Error,
    },
    /// The registry wants other credentials, or some.
    #[error("the registry refused access to {repository} ({status})")]
    Denied {
        /// The repository that was asked for.
        repository: String,
        /// The HTTP status.
        status: u16,
    },
    /// An answer that the protocol does not allow at this point.
    #[error("{url} answered {status}: {body}")]
    Unexpected {
        /// What was asked for.
        url: String,
        /// The HTTP status.
        status: u16,
        /// The beginning of what it said.
        body: String,
    },
    /// The registry wants to be authenticated against in a way that is not known or not safe.
    #[error("the registry {host} asks for an authentication that can't be given: {reason}")]
    Challenge {
        /// The registry.
        host: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Docker's credential store, or the helper that it names, failed.
    #[error("the credentials for {host} can't be read from Docker's configuration")]
    Credentials {
        /// The registry.
        host: String,
        /// What failed.
        #[source]
        source: docker_credential::CredentialRetrievalError,
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
