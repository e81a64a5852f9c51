use std::error::Error;
use std::time::Duration;

/// A request got no answer, or not all of it.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The connection could not be made, or broke.
    #[error("{}: {}", summary(.error), deepest(.error))]
    Network {
        /// What happened. The causes above the deepest one say nothing of use.
        error: reqwest::Error,
    },
    /// The server took the connection and then said nothing.
    #[error("the server said nothing for {} seconds", .0.as_secs())]
    Silent(Duration),
    /// An answer that should be short is not.
    #[error("the answer is longer than {limit} bytes")]
    TooLong {
        /// The bound.
        limit: usize,
    },
    /// The client can't be set up.
    #[error("can't set up the HTTP client")]
    Client {
        /// Why.
        #[source]
        source: reqwest::Error,
    },
}

impl HttpError {
    pub(super) fn network(source: reqwest::Error) -> Self {
        Self::Network { error: source.without_url() }
    }

    /// Whether another attempt may do better.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Network { error } => !(error.is_redirect() || error.is_builder() || self.tls().is_some()),
            Self::Silent(_) => true,
            Self::TooLong { .. } | Self::Client { .. } => false,
        }
    }

    /// Whether the server answers to TLS with something else.
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

/// An `io::Error` hides the error that it was made from: its source is that one's source.
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
