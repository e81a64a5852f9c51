use std::io;

use camino::Utf8PathBuf;

use super::TagError;
use crate::config::hide_credentials;
use crate::http::HttpError;
use crate::store::StoreError;

/// Why a registry could not be used.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The name, here without credentials, is not `host[:port]/path`.
    #[error("{name:?} is not a repository in a registry: expected host[:port]/path in lower case")]
    Name { name: String },
    #[error(transparent)]
    Tag(#[from] TagError),
    #[error("can't reach {url}")]
    Unreachable {
        url: String,
        #[source]
        source: HttpError,
    },
    /// The registry refused the credentials, or requires some.
    #[error("{}", denial(repository, *status, *logged_in, said))]
    Denied { repository: String, status: u16, logged_in: bool, said: String },
    /// An answer that the protocol doesn't allow here.
    #[error("{url} answered {status}{}", after_colon(said))]
    Unexpected { url: String, status: u16, said: String },
    /// The registry requires an unknown or unsafe kind of authentication.
    #[error("can't authenticate to the registry {host}: {reason}")]
    Challenge { host: String, reason: String },
    /// The registry computed another digest for the manifest.
    #[error("{url} stored the manifest as {found} instead of {expected}")]
    Stored { url: String, expected: String, found: String },
    /// The registry doesn't have a blob.
    #[error("{repository} has no {digest}")]
    Missing { repository: String, digest: String },
    /// A blob doesn't match its digest, or can't be stored.
    #[error("can't use {url}")]
    Blob {
        url: String,
        #[source]
        source: StoreError,
    },
    /// The blob can't be read from disk.
    #[error("can't read {path}")]
    Read {
        path: Utf8PathBuf,
        #[source]
        source: io::Error,
    },
}

impl RegistryError {
    pub(super) fn name(name: &str) -> Self {
        Self::Name { name: without_credentials(name) }
    }

    /// Whether the registry refuses the request. Some answer what they don't know with the status of a failure.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Denied { .. } | Self::Unexpected { status: 400..600, .. })
    }

    /// Whether the registry returned this code (distribution-spec, "Error Codes"), or the start of it.
    pub(super) fn says(&self, code: &str) -> bool {
        matches!(self, Self::Unexpected { said, .. } if said.contains(code))
    }
}

/// Hides the user and the password in what may be a URL without its scheme.
fn without_credentials(name: &str) -> String {
    const SCHEME: &str = "https://";
    if name.contains("://") {
        return hide_credentials(name);
    }
    let hidden = hide_credentials(&format!("{SCHEME}{name}"));
    hidden.strip_prefix(SCHEME).unwrap_or_default().to_owned()
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
