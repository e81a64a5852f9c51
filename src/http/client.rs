use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Method, RequestBuilder};
use tokio::time::Instant;
use url::Url;

use super::{Answer, HttpError};

/// How patient the client is.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How often something is tried when failures look passing.
    pub attempts: u32,
    /// The pause before the second attempt; it doubles with each.
    pub backoff: Duration,
    /// The longest pause, however long the server asks to wait.
    pub longest_wait: Duration,
    /// For a connection to come about.
    pub connect: Duration,
    /// For all of a short answer.
    pub answer: Duration,
    /// For the next bytes, in either direction.
    pub silence: Duration,
    /// For a server to say that it has stored what it was sent.
    pub digestion: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            attempts: 4,
            backoff: Duration::from_millis(500),
            longest_wait: Duration::from_secs(30),
            connect: Duration::from_secs(20),
            answer: Duration::from_secs(30),
            silence: Duration::from_mins(1),
            digestion: Duration::from_mins(2),
        }
    }
}

/// The client. Clones share its connections.
#[derive(Debug, Clone, Default)]
pub struct Client {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    settings: Settings,
    /// Both are made when they are needed: reading the machine's root certificates takes its time.
    outside: OnceLock<reqwest::Client>,
    /// For this machine, where no proxy is of use.
    loopback: OnceLock<reqwest::Client>,
}

const MAX_REDIRECTS: usize = 5;

/// Follows redirects, but never from https to http.
fn redirects() -> Policy {
    Policy::custom(|attempt| {
        if leads_to_plain_http(attempt.previous(), attempt.url()) {
            attempt.error("the server redirects from https to http, which is refused")
        } else if attempt.previous().len() > MAX_REDIRECTS {
            attempt.error("too many redirects")
        } else {
            attempt.follow()
        }
    })
}

pub(super) fn leads_to_plain_http(previous: &[Url], next: &Url) -> bool {
    previous.last().is_some_and(|url| url.scheme() == "https") && next.scheme() != "https"
}

/// Whether this is the machine itself.
#[must_use]
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

impl Client {
    /// A client that makes no connection yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { shared: Arc::new(Shared { settings, ..Shared::default() }) }
    }

    /// How patient it is.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    /// The beginning of a request.
    ///
    /// Its `Authorization` goes no further than the host of this URL, wherever the server redirects to.
    pub fn request(&self, method: Method, url: &Url) -> Result<RequestBuilder, HttpError> {
        let client = if is_loopback(url) { &self.shared.loopback } else { &self.shared.outside };
        if let Some(client) = client.get() {
            return Ok(client.request(method, url.clone()));
        }
        let builder = reqwest::Client::builder()
            .user_agent(concat!("mailimg/", env!("CARGO_PKG_VERSION")))
            .redirect(redirects())
            // A URL may hold what only its own server should see.
            .referer(false)
            .connect_timeout(self.shared.settings.connect);
        let builder = if is_loopback(url) { builder.no_proxy() } else { builder };
        let made = builder.build().map_err(|source| HttpError::Client { source })?;
        Ok(client.get_or_init(|| made).request(method, url.clone()))
    }

    /// Sends a request whose answer is short.
    pub async fn send(&self, request: RequestBuilder) -> Result<Answer, HttpError> {
        let limit = self.shared.settings.answer;
        let deadline = Instant::now() + limit;
        let response = tokio::time::timeout_at(deadline, request.send()).await;
        let response = response.map_err(|_| HttpError::Silent(limit))?.map_err(HttpError::network)?;
        Ok(Answer::short(response, limit, deadline))
    }

    /// Sends a request whose answer may be long.
    pub async fn open(&self, request: RequestBuilder) -> Result<Answer, HttpError> {
        let limit = self.shared.settings.silence;
        let response = tokio::time::timeout(limit, request.send()).await;
        let response = response.map_err(|_| HttpError::Silent(limit))?.map_err(HttpError::network)?;
        Ok(Answer::long(response, limit))
    }
}
