use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::{self, TryStreamExt as _};
use reqwest::StatusCode;
use reqwest::redirect::Policy;
use url::Url;

use super::{FetchError, Location};
use crate::digest::Sha256;
use crate::store::{Entry, Incoming, Store, StoreError};

/// A file to fetch, and what is known of it.
#[derive(Debug, Clone)]
pub struct Request {
    /// How to call it towards the user: `postfix-3.10.1-r0.apk`.
    pub name: String,
    /// Where it is.
    pub location: Location,
    /// Its length.
    pub size: Size,
    /// Its digest, where that is known beforehand.
    pub digest: Option<Sha256>,
}

/// How long a file is, bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// Exactly so long.
    Exactly(u64),
    /// Unknown, but no longer.
    AtMost(u64),
}

impl Size {
    /// The most bytes that will be read.
    #[must_use]
    pub fn limit(self) -> u64 {
        match self {
            Self::Exactly(size) | Self::AtMost(size) => size,
        }
    }
}

/// Is told how downloads get on. Called from several threads at once.
pub trait Progress: Sync {
    /// A transfer starts, again perhaps.
    fn started(&self, request: &Request);
    /// So many more bytes have come.
    fn received(&self, request: &Request, bytes: u64);
    /// It is complete, checked and in the store.
    fn finished(&self, request: &Request);
}

/// Tells nobody.
#[derive(Debug, Clone, Copy)]
pub struct Silent;

impl Progress for Silent {
    fn started(&self, _: &Request) {}
    fn received(&self, _: &Request, _: u64) {}
    fn finished(&self, _: &Request) {}
}

/// How patient and how greedy the client is.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Transfers at the same time.
    pub parallel: usize,
    /// How often one is tried when failures look passing.
    pub attempts: u32,
    /// The pause before the second attempt; it doubles with each.
    pub backoff: Duration,
    /// For a connection to come about.
    pub connect_timeout: Duration,
    /// For the next bytes to come.
    pub read_timeout: Duration,
    /// Use nothing but files of this machine and the store.
    pub offline: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            parallel: 8,
            attempts: 4,
            backoff: Duration::from_millis(500),
            connect_timeout: Duration::from_secs(20),
            read_timeout: Duration::from_mins(1),
            offline: false,
        }
    }
}

/// Brings files into the store.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    settings: Settings,
    store: Store,
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

fn leads_to_plain_http(previous: &[Url], next: &Url) -> bool {
    previous.last().is_some_and(|url| url.scheme() == "https") && next.scheme() != "https"
}

/// Why an attempt failed, and whether another may do better.
struct Attempt {
    error: FetchError,
    passing: bool,
}

impl From<FetchError> for Attempt {
    fn from(error: FetchError) -> Self {
        Self { error, passing: false }
    }
}

impl Client {
    /// A client whose files go into `store`.
    pub fn new(store: Store, settings: Settings) -> Result<Self, FetchError> {
        let http = reqwest::Client::builder()
            .user_agent(concat!("mailimg/", env!("CARGO_PKG_VERSION")))
            .redirect(redirects())
            .connect_timeout(settings.connect_timeout)
            .read_timeout(settings.read_timeout)
            .build()
            .map_err(|source| FetchError::Client { source })?;
        Ok(Self { http, settings, store })
    }

    /// Where files go.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Fetches all of them, several at a time; the entries are in the requests' order. Stops at the first failure.
    pub async fn fetch_all(&self, requests: &[Request], progress: &dyn Progress) -> Result<Vec<Entry>, FetchError> {
        stream::iter(requests.iter().map(|request| self.fetch(request, progress)))
            .buffered(self.settings.parallel.max(1))
            .try_collect()
            .await
    }

    /// The store's entry for the request, fetched if the store doesn't have it.
    ///
    /// Without a digest the file is always fetched.
    pub async fn fetch(&self, request: &Request, progress: &dyn Progress) -> Result<Entry, FetchError> {
        if let Some(entry) = self.present(request) {
            return Ok(entry);
        }
        let location = || Box::new(request.location.clone());
        let entry = match &request.location {
            Location::File(path) => {
                progress.started(request);
                let file = std::fs::File::open(path).map_err(|source| match source.kind() {
                    std::io::ErrorKind::NotFound => FetchError::NotFound { location: location(), status: None },
                    _ => FetchError::File { location: location(), source },
                })?;
                self.read_file(request, file, progress)?
            }
            Location::Url(_) if self.settings.offline => return Err(FetchError::Offline { location: location() }),
            Location::Url(url) => self.download(request, url, progress).await?,
        };
        progress.finished(request);
        Ok(entry)
    }

    fn present(&self, request: &Request) -> Option<Entry> {
        let digest = request.digest?;
        let path = match request.size {
            Size::Exactly(size) => self.store.find_sized(&digest, size)?,
            Size::AtMost(_) => self.store.find(&digest)?,
        };
        let size = path.metadata().ok()?.len();
        Some(Entry { digest, size, path })
    }

    fn read_file(
        &self,
        request: &Request,
        mut file: std::fs::File,
        progress: &dyn Progress,
    ) -> Result<Entry, FetchError> {
        use std::io::Read as _;
        let mut incoming = self.incoming(request)?;
        let mut buffer = vec![0; 128 * 1024];
        loop {
            let n = file
                .read(&mut buffer)
                .map_err(|source| FetchError::File { location: Box::new(request.location.clone()), source })?;
            if n == 0 {
                return finish(request, incoming);
            }
            append(request, &mut incoming, buffer.get(..n).unwrap_or_default())?;
            progress.received(request, n as u64);
        }
    }

    async fn download(&self, request: &Request, url: &Url, progress: &dyn Progress) -> Result<Entry, FetchError> {
        let mut number = 1;
        let mut pause = self.settings.backoff;
        loop {
            progress.started(request);
            match self.attempt(request, url, number, progress).await {
                Ok(entry) => return Ok(entry),
                Err(Attempt { error, passing }) if !passing || number >= self.settings.attempts => return Err(error),
                Err(Attempt { error, .. }) => tracing::info!("{error}; trying again in {pause:?}"),
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
            number += 1;
        }
    }

    async fn attempt(
        &self,
        request: &Request,
        url: &Url,
        attempts: u32,
        progress: &dyn Progress,
    ) -> Result<Entry, Attempt> {
        let location = || Box::new(request.location.clone());
        let network = |source: reqwest::Error| Attempt {
            // A refused redirect or a malformed request stays as it is.
            passing: !(source.is_redirect() || source.is_builder()),
            error: FetchError::Network { location: location(), attempts, source: source.without_url() },
        };
        let mut response = self.http.get(url.clone()).send().await.map_err(network)?;
        let status = response.status();
        if matches!(status, StatusCode::NOT_FOUND | StatusCode::GONE) {
            return Err(FetchError::NotFound { location: location(), status: Some(status.as_u16()) }.into());
        }
        if !status.is_success() {
            let passing = status.is_server_error()
                || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT);
            let error = FetchError::Status { location: location(), status: status.as_u16(), attempts };
            return Err(Attempt { error, passing });
        }
        if let (Size::Exactly(expected), Some(found)) = (request.size, response.content_length())
            && expected != found
        {
            return Err(FetchError::Size { location: location(), expected, found }.into());
        }
        let mut incoming = self.incoming(request)?;
        while let Some(bytes) = response.chunk().await.map_err(network)? {
            append(request, &mut incoming, &bytes)?;
            progress.received(request, bytes.len() as u64);
        }
        Ok(finish(request, incoming)?)
    }

    fn incoming(&self, request: &Request) -> Result<Incoming, FetchError> {
        self.store.incoming(request.size.limit()).map_err(|error| failed(request, error))
    }
}

fn append(request: &Request, incoming: &mut Incoming, bytes: &[u8]) -> Result<(), FetchError> {
    let found = incoming.size() + bytes.len() as u64;
    incoming.write(bytes).map_err(|error| match (error, request.size) {
        (StoreError::TooLarge { .. }, Size::Exactly(expected)) => {
            FetchError::Size { location: Box::new(request.location.clone()), expected, found }
        }
        (error, _) => failed(request, error),
    })
}

fn finish(request: &Request, incoming: Incoming) -> Result<Entry, FetchError> {
    if let Size::Exactly(expected) = request.size
        && incoming.size() != expected
    {
        let found = incoming.size();
        return Err(FetchError::Size { location: Box::new(request.location.clone()), expected, found });
    }
    incoming.finish(request.digest).map_err(|error| failed(request, error))
}

fn failed(request: &Request, error: StoreError) -> FetchError {
    let location = Box::new(request.location.clone());
    match error {
        StoreError::Digest { expected, found, .. } => FetchError::Digest { location, expected, found },
        StoreError::TooLarge { limit } => FetchError::TooLarge { location, limit },
        source => FetchError::Store { location, source },
    }
}

#[cfg(test)]
mod tests;
