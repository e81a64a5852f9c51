use std::net::Ipv4Addr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Method, RequestBuilder};
use tokio::time::Instant;
use url::Url;

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
    /// Created on first use, because reading the machine's root certificates takes time.
    made: OnceLock<reqwest::Client>,
}

/// How many redirects of a request are followed.
pub const MAX_REDIRECTS: usize = 10;

/// Follows redirects, but never from https to http.
fn redirects() -> Policy {
    Policy::custom(|attempt| {
        if leads_to_plain_http(attempt.previous(), attempt.url()) {
            attempt.error("refusing the server's redirect from https to http")
        } else if attempt.previous().last().is_some_and(|from| leads_inside(from, attempt.url())) {
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

/// Whether a server elsewhere leads to this machine, or to what only this machine and its neighbours reach, such as a
/// cloud's metadata at a link-local address. Names are not looked up.
#[must_use]
pub fn leads_inside(from: &Url, to: &Url) -> bool {
    is_inside(to) && !is_inside(from)
}

fn is_inside(url: &Url) -> bool {
    let is_inside_4 = |address: Ipv4Addr| address.is_loopback() || address.is_link_local() || address.is_unspecified();
    match url.host() {
        Some(url::Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            name == "localhost" || name.ends_with(".localhost")
        }
        Some(url::Host::Ipv4(address)) => is_inside_4(address),
        Some(url::Host::Ipv6(address)) => match address.to_ipv4_mapped() {
            Some(address) => is_inside_4(address),
            None => address.is_loopback() || address.is_unicast_link_local() || address.is_unspecified(),
        },
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
            .redirect(redirects())
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
