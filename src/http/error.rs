use std::error::Error;
use std::time::Duration;

/// A request got no answer, or not all of it.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    #[error("{}: {}", summary(.error), deepest(.error))]
    Network { error: reqwest::Error },
    /// The server accepted the connection but didn't answer.
    #[error("the server didn't answer for {} seconds", .0.as_secs())]
    Silent(Duration),
    /// The server sends or takes less than any connection carries.
    #[error("the server {did} only {bytes} bytes in {} seconds", .within.as_secs())]
    Slow { did: &'static str, bytes: u64, within: Duration },
    /// A short answer is too long.
    #[error("the answer is longer than {limit} bytes")]
    TooLong { limit: usize },
    /// The client can't be set up.
    #[error("can't set up the HTTP client")]
    Client {
        #[source]
        source: reqwest::Error,
    },
}

impl HttpError {
    pub(super) fn network(source: reqwest::Error) -> Self {
        Self::Network { error: source.without_url() }
    }

    /// Whether another attempt may succeed.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Network { error } => !(error.is_redirect() || error.is_builder() || self.tls().is_some()),
            Self::Silent(_) | Self::Slow { .. } => true,
            Self::TooLong { .. } | Self::Client { .. } => false,
        }
    }

    /// Whether the server answers TLS with something else.
    #[must_use]
    pub fn is_not_tls(&self) -> bool {
        matches!(self.tls(), Some(rustls::Error::InvalidMessage(_)))
    }

    /// Whether the server's certificate is not trusted.
    #[must_use]
    pub fn is_untrusted(&self) -> bool {
        matches!(self.tls(), Some(rustls::Error::InvalidCertificate(_)))
    }

    fn tls(&self) -> Option<&rustls::Error> {
        match self {
            Self::Network { error } => causes(error).find_map(|cause| cause.downcast_ref()),
            _ => None,
        }
    }
}

type Cause<'a> = &'a (dyn Error + 'static);

/// An error and its causes.
fn causes(error: Cause<'_>) -> impl Iterator<Item = Cause<'_>> {
    std::iter::successors(Some(error), |error| cause(*error))
}

/// An `io::Error` hides the error that it wraps: its source is that error's source.
fn cause(error: Cause<'_>) -> Option<Cause<'_>> {
    let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    inner.map(|inner| inner as Cause<'_>).or_else(|| error.source())
}

fn deepest(error: &reqwest::Error) -> String {
    causes(error).last().map(ToString::to_string).unwrap_or_default()
}

fn summary(error: &reqwest::Error) -> &'static str {
    if error.is_connect() {
        "can't connect"
    } else if error.is_redirect() {
        "the redirect can't be followed"
    } else {
        "the connection broke"
    }
}
