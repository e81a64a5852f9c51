use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Method, RequestBuilder};
use tokio::time::Instant;
use url::Url;

use super::hosts::Hosts;
use super::proxy::Proxies;
use super::{Answer, HttpError};

/// The client's time limits.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How often to try if failures look temporary.
    pub attempts: u32,
    /// The pause before the second attempt, which doubles with each further one.
    pub backoff: Duration,
    /// The longest pause, however long the server asks to wait.
    pub longest_wait: Duration,
    /// The time limit for connecting.
    pub connect: Duration,
    /// The time limit for a whole short answer.
    pub answer: Duration,
    /// The time limit for the next bytes, in either direction.
    pub silence: Duration,
    /// The fewest bytes of a long answer or an upload that have to move within that time, unless it ends.
    pub least: u64,
    /// The time limit for a server to store what it received.
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
            // A modem's pace: whoever sends less on purpose could hold a connection for years.
            least: 64 << 10,
            digestion: Duration::from_mins(2),
        }
    }
}

/// The HTTP client. Clones share its connections.
#[derive(Debug, Clone, Default)]
pub struct Client {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    settings: Settings,
    hosts: Hosts,
    /// Created on first use, because reading the machine's root certificates takes time.
    made: OnceLock<reqwest::Client>,
}

/// How many redirects of a request are followed.
pub const MAX_REDIRECTS: usize = 10;

/// Follows redirects, but never from https to http, nor to this machine from elsewhere.
fn redirects(hosts: Hosts) -> Policy {
    Policy::custom(move |attempt| {
        if leads_to_plain_http(attempt.previous(), attempt.url()) {
            attempt.error("refusing the server's redirect from https to http")
        } else if attempt.previous().last().is_some_and(|from| !hosts.may_lead(from, attempt.url())) {
            attempt.error("refusing the server's redirect to this machine")
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

/// A URL as it may be shown: without the user, the password and the query, which may be a signature that grants access.
#[must_use]
pub fn shown(url: &Url) -> String {
    let authority = url.host_str().map(|host| {
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        format!("//{host}{port}")
    });
    format!("{}:{}{}", url.scheme(), authority.unwrap_or_default(), url.path())
}

impl Client {
    /// A client without connections yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { shared: Arc::new(Shared { settings, ..Shared::default() }) }
    }

    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    /// Whether the server at `from` may lead to `to`: to this machine, only a server that is there itself. Ask this before
    /// the first request to a URL that a server has named; if its host turns out to be this machine, requests fail.
    #[must_use]
    pub fn may_lead(&self, from: &Url, to: &Url) -> bool {
        self.shared.hosts.may_lead(from, to)
    }

    /// Starts a request.
    ///
    /// Its `Authorization` is sent only to the host of this URL, wherever the server redirects to.
    pub fn request(&self, method: Method, url: &Url) -> Result<RequestBuilder, HttpError> {
        if let Some(client) = self.shared.made.get() {
            return Ok(client.request(method, url.clone()));
        }
        let proxies = Proxies::from_environment();
        let builder = reqwest::Client::builder()
            .user_agent(concat!("mailimg/", env!("CARGO_PKG_VERSION")))
            .redirect(redirects(self.shared.hosts.clone()))
            .dns_resolver(Arc::new(self.shared.hosts.clone()))
            // A URL may contain secrets for its own server only.
            .referer(false)
            .proxy(reqwest::Proxy::custom(move |url| proxies.for_url(url)))
            .connect_timeout(self.shared.settings.connect);
        let made = builder.build().map_err(|source| HttpError::Client { source })?;
        Ok(self.shared.made.get_or_init(|| made).request(method, url.clone()))
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
        Ok(Answer::long(response, limit, self.shared.settings.least))
    }
}
