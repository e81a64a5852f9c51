use std::fs::File;
use std::io::{self, Read, Seek as _};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use camino::Utf8Path;
use futures_util::stream::{self, Stream, StreamExt as _};
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
    /// A file is not where it should be, as `answer` says, but it was found at `place`.
    fn elsewhere(&self, _request: &Request, _answer: &FetchError, _place: &str) {}
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

/// A file that has been fetched and is not in the store: one of this machine itself, or a download that is gone when this
/// is dropped. Of the size that was asked for, and otherwise unchecked.
#[derive(Debug)]
pub struct Fetched {
    location: Location,
    file: File,
}

impl Fetched {
    /// Where it is from.
    #[must_use]
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// Goes back to its beginning.
    pub fn rewind(&mut self) -> io::Result<()> {
        self.file.rewind()
    }
}

impl Read for Fetched {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read(buffer)
    }
}

/// Brings files into the store.
#[derive(Debug, Clone)]
pub struct Client {
    /// Made when it is needed: reading the machine's root certificates takes its time.
    http: Arc<OnceLock<reqwest::Client>>,
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
    #[must_use]
    pub fn new(store: Store, settings: Settings) -> Self {
        Self { http: Arc::default(), settings, store }
    }

    fn http(&self) -> Result<&reqwest::Client, FetchError> {
        if let Some(http) = self.http.get() {
            return Ok(http);
        }
        let http = self.new_http()?;
        Ok(self.http.get_or_init(|| http))
    }

    /// Whether nothing but files of this machine and the store may be used.
    #[must_use]
    pub fn is_offline(&self) -> bool {
        self.settings.offline
    }

    /// A client of its own for somebody else who speaks HTTP.
    pub fn new_http(&self) -> Result<reqwest::Client, FetchError> {
        let http = reqwest::Client::builder()
            .user_agent(concat!("mailimg/", env!("CARGO_PKG_VERSION")))
            .redirect(redirects())
            .connect_timeout(self.settings.connect_timeout)
            .read_timeout(self.settings.read_timeout)
            .build();
        http.map_err(|source| FetchError::Client { source })
    }

    /// Where files go.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Fetches all of them for reading, several at a time, each with its position as it comes.
    pub fn open_all<'a>(
        &'a self,
        requests: &'a [Request],
        progress: &'a dyn Progress,
    ) -> impl Stream<Item = (usize, Result<Fetched, FetchError>)> + 'a {
        let open = move |(position, request)| async move { (position, self.open(request, progress).await) };
        stream::iter(requests.iter().enumerate().map(open)).buffer_unordered(self.settings.parallel.max(1))
    }

    /// The file of a request, for reading. What the store has is not looked at, and nothing comes into it.
    pub async fn open(&self, request: &Request, progress: &dyn Progress) -> Result<Fetched, FetchError> {
        let file = match &request.location {
            Location::File(path) => {
                progress.started(request);
                let file = open_file(request, path)?;
                let found = file.metadata().map_err(|source| unreadable(request, source))?.len();
                check_size(request, found)?;
                progress.received(request, found);
                file
            }
            Location::Url(url) => {
                let incoming = self.download(request, url, progress).await?;
                incoming.into_temporary().map_err(|error| failed(request, error))?
            }
        };
        progress.finished(request);
        Ok(Fetched { location: request.location.clone(), file })
    }

    /// The store's entry for the request, fetched if the store doesn't have it.
    ///
    /// Without a digest the file is always fetched.
    pub async fn fetch(&self, request: &Request, progress: &dyn Progress) -> Result<Entry, FetchError> {
        if let Some(entry) = self.present(request) {
            return Ok(entry);
        }
        let incoming = match &request.location {
            Location::File(path) => {
                progress.started(request);
                self.read_file(request, open_file(request, path)?, progress)?
            }
            Location::Url(url) => self.download(request, url, progress).await?,
        };
        let entry = incoming.finish(request.digest).map_err(|error| failed(request, error))?;
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

    fn read_file(&self, request: &Request, mut file: File, progress: &dyn Progress) -> Result<Incoming, FetchError> {
        let mut incoming = self.incoming(request)?;
        let mut buffer = vec![0; 128 * 1024];
        loop {
            let n = file.read(&mut buffer).map_err(|source| unreadable(request, source))?;
            if n == 0 {
                check_size(request, incoming.size())?;
                return Ok(incoming);
            }
            append(request, &mut incoming, buffer.get(..n).unwrap_or_default())?;
            progress.received(request, n as u64);
        }
    }

    /// All of a file, of the right size.
    async fn download(&self, request: &Request, url: &Url, progress: &dyn Progress) -> Result<Incoming, FetchError> {
        if self.settings.offline {
            return Err(FetchError::Offline { location: Box::new(request.location.clone()) });
        }
        let mut number = 1;
        let mut pause = self.settings.backoff;
        loop {
            progress.started(request);
            match self.attempt(request, url, number, progress).await {
                Ok(incoming) => return Ok(incoming),
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
    ) -> Result<Incoming, Attempt> {
        let location = || Box::new(request.location.clone());
        let network = |source: reqwest::Error| Attempt {
            // A refused redirect or a malformed request stays as it is.
            passing: !(source.is_redirect() || source.is_builder()),
            error: FetchError::Network { location: location(), attempts, source: source.without_url() },
        };
        let mut response = self.http()?.get(url.clone()).send().await.map_err(network)?;
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
        check_size(request, incoming.size())?;
        Ok(incoming)
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

fn check_size(request: &Request, found: u64) -> Result<(), FetchError> {
    let location = || Box::new(request.location.clone());
    match request.size {
        Size::Exactly(expected) if expected != found => Err(FetchError::Size { location: location(), expected, found }),
        Size::AtMost(limit) if limit < found => Err(FetchError::TooLarge { location: location(), limit }),
        _ => Ok(()),
    }
}

fn open_file(request: &Request, path: &Utf8Path) -> Result<File, FetchError> {
    File::open(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => FetchError::NotFound { location: Box::new(request.location.clone()), status: None },
        _ => unreadable(request, source),
    })
}

fn unreadable(request: &Request, source: io::Error) -> FetchError {
    FetchError::File { location: Box::new(request.location.clone()), source }
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
