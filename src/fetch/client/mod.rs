use std::fs::File;
use std::io::{self, Read, Seek as _};
use std::sync::Arc;

use camino::Utf8Path;
use futures_util::stream::{self, Stream, StreamExt as _};
use url::Url;

use super::credentials::{Credentials, Login};
use super::{FetchError, Location};
use crate::digest::Sha256;
use crate::http::{Answer, Download, DownloadError, Event, Failed, HttpError, Method, StatusCode, header};
use crate::progress::Step;
use crate::store::{Entry, Incoming, Store, StoreError};

/// A file to fetch, and what is known about it.
#[derive(Debug, Clone)]
pub struct Request {
    /// Its name for the user: `postfix-3.10.1-r0.apk`.
    pub name: String,
    pub location: Location,
    pub size: Size,
    /// Its digest, if known.
    pub digest: Option<Sha256>,
}

/// The length of a file, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
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

/// The client's limits.
#[derive(Debug, Clone)]
pub struct Settings {
    pub http: crate::http::Client,
    /// How many transfers run at once.
    pub parallel: usize,
    /// Use only the store and local files.
    pub offline: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { http: crate::http::Client::default(), parallel: 8, offline: false }
    }
}

/// A fetched file outside the store: a local file, or a download that is deleted when this is dropped. It has the
/// requested size, but is otherwise unchecked.
#[derive(Debug)]
pub struct Fetched {
    location: Location,
    file: File,
}

impl Fetched {
    #[must_use]
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// Rewinds to the start.
    pub fn rewind(&mut self) -> io::Result<()> {
        self.file.rewind()
    }
}

impl Read for Fetched {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read(buffer)
    }
}

/// Fetches files into the store.
#[derive(Debug, Clone)]
pub struct Client {
    settings: Settings,
    credentials: Arc<Credentials>,
    store: Store,
}

impl Client {
    /// A client whose files go into `store`.
    #[must_use]
    pub fn new(store: Store, settings: Settings) -> Self {
        Self { settings, credentials: Arc::default(), store }
    }

    #[must_use]
    pub fn http(&self) -> &crate::http::Client {
        &self.settings.http
    }

    /// Whether only the store and local files may be used.
    #[must_use]
    pub fn is_offline(&self) -> bool {
        self.settings.offline
    }

    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Fetches files for reading, several at a time. Yields each with its position as it arrives. `step` counts bytes.
    pub fn open_all<'a>(
        &'a self,
        requests: &'a [Request],
        step: &'a dyn Step,
    ) -> impl Stream<Item = (usize, Result<Fetched, FetchError>)> + 'a {
        let open = move |(position, request)| async move { (position, self.open(request, step).await) };
        stream::iter(requests.iter().enumerate().map(open)).buffer_unordered(self.settings.parallel.max(1))
    }

    /// Fetches a file for reading, bypassing the store.
    pub async fn open(&self, request: &Request, step: &dyn Step) -> Result<Fetched, FetchError> {
        let file = match &request.location {
            Location::File(path) => {
                step.item(&request.name);
                let file = open_file(request, path)?;
                let found = file.metadata().map_err(|source| unreadable(request, source))?.len();
                check_size(request, found)?;
                step.advance(found);
                file
            }
            Location::Url(url) => {
                let incoming = self.download(request, url, step).await?;
                incoming.into_temporary().map_err(|error| failed(request, error))?
            }
        };
        Ok(Fetched { location: request.location.clone(), file })
    }

    /// The store's entry for a request, fetched if missing.
    ///
    /// Without a digest the file is always fetched.
    pub async fn fetch(&self, request: &Request, step: &dyn Step) -> Result<Entry, FetchError> {
        if let Some(entry) = self.present(request) {
            return Ok(entry);
        }
        let incoming = match &request.location {
            Location::File(path) => {
                step.item(&request.name);
                self.read_file(request, open_file(request, path)?, step)?
            }
            Location::Url(url) => self.download(request, url, step).await?,
        };
        incoming.finish(request.digest).map_err(|error| failed(request, error))
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

    fn read_file(&self, request: &Request, mut file: File, step: &dyn Step) -> Result<Incoming, FetchError> {
        let mut incoming = self.store.incoming(request.size.limit()).map_err(|error| failed(request, error))?;
        let mut buffer = vec![0; 128 * 1024];
        loop {
            let n = file.read(&mut buffer).map_err(|source| unreadable(request, source))?;
            if n == 0 {
                check_size(request, incoming.size())?;
                return Ok(incoming);
            }
            let found = incoming.size() + n as u64;
            let written = incoming.write(buffer.get(..n).unwrap_or_default());
            written.map_err(|error| overfull(request, error, found))?;
            step.advance(n as u64);
        }
    }

    /// Downloads a whole file of the right size.
    async fn download(&self, request: &Request, url: &Url, step: &dyn Step) -> Result<Incoming, FetchError> {
        if self.settings.offline {
            return Err(FetchError::Offline { location: Box::new(request.location.clone()) });
        }
        let download = Download::new(&self.store, request.size.limit(), request.digest.is_some());
        let mut download = download.map_err(|error| failed(request, error))?;
        let mut meter = Meter { request, step, received: 0 };
        let attempt = async |number| self.attempt(request, url, number, &mut download, &mut meter).await;
        self.http().attempts(attempt).await?;
        Ok(download.finish())
    }

    async fn attempt(
        &self,
        request: &Request,
        url: &Url,
        attempts: u32,
        download: &mut Download<'_>,
        meter: &mut Meter<'_>,
    ) -> Result<(), Failed<FetchError>> {
        let location = || Box::new(request.location.clone());
        let network = |source| FetchError::Network { location: location(), attempts, source };
        let answer = self.ask(url, download).await.map_err(|error| Failed::of(error, network))?;
        check_status(request, &answer, attempts)?;
        if answer.status().is_success()
            && let (Size::Exactly(expected), Some(found)) = (request.size, download.size_by(&answer))
            && expected != found
        {
            return Err(FetchError::Size { location: location(), expected, found }.into());
        }
        let status = answer.status();
        match download.take(answer, &mut |event| meter.count(event)).await {
            Ok(()) => Ok(check_size(request, download.size())?),
            Err(DownloadError::Http(error)) => Err(Failed::of(error, network)),
            Err(DownloadError::Store { source, found }) => Err(overfull(request, source, found).into()),
            Err(DownloadError::Range) => {
                let error = FetchError::Status { location: location(), status: status.as_u16(), attempts };
                Err(Failed::Passing { error, after: None, cost: 1 })
            }
        }
    }

    /// Requests the file, and again with credentials from servers that refuse it and for which there are any. Each
    /// server to which a redirect leads is sent its own, at the place to which it leads.
    async fn ask(&self, url: &Url, download: &Download<'_>) -> Result<Answer, HttpError> {
        let mut place = url.clone();
        let mut login = self.credentials.for_url(url);
        for _ in 0..MOST_LOGINS {
            let answer = self.send(&place, login.as_ref(), download).await?;
            let has_login = login.is_some() && *answer.url() == place;
            login = if has_login { None } else { self.login(&answer) };
            if login.is_none() {
                return Ok(answer);
            }
            place = answer.url().clone();
        }
        self.send(&place, login.as_ref(), download).await
    }

    async fn send(&self, url: &Url, login: Option<&Login>, download: &Download<'_>) -> Result<Answer, HttpError> {
        let request = download.resume(self.http().request(Method::GET, url)?);
        let request = match login.and_then(Login::header) {
            Some(header) => request.header(header::AUTHORIZATION, header),
            None => request,
        };
        self.http().open(request).await
    }

    /// What to answer to a server that refuses. Some hide what they have behind 403 or 404.
    fn login(&self, answer: &Answer) -> Option<Login> {
        let known = || self.credentials.for_url(answer.url());
        let challenges = answer.headers().get_all(header::WWW_AUTHENTICATE);
        let challenges = challenges.iter().filter_map(|value| value.to_str().ok());
        match answer.status() {
            StatusCode::UNAUTHORIZED => known().or_else(|| self.credentials.for_challenge(answer.url(), challenges)),
            StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => known(),
            _ => None,
        }
    }
}

/// The most servers that one request is repeated for with their credentials.
const MOST_LOGINS: u32 = 5;

/// Counts the bytes of a file in a step, over all attempts.
struct Meter<'a> {
    request: &'a Request,
    step: &'a dyn Step,
    received: u64,
}

impl Meter<'_> {
    fn count(&mut self, event: Event) {
        match event {
            Event::Started => {
                self.step.retract(std::mem::take(&mut self.received));
                self.step.item(&self.request.name);
            }
            Event::Received(bytes) => {
                self.received += bytes;
                self.step.advance(bytes);
            }
        }
    }
}

fn check_status(request: &Request, answer: &Answer, attempts: u32) -> Result<(), Failed<FetchError>> {
    let (location, status) = (Box::new(request.location.clone()), answer.status());
    let error = match status {
        _ if status.is_success() || status == StatusCode::RANGE_NOT_SATISFIABLE => return Ok(()),
        StatusCode::NOT_FOUND | StatusCode::GONE => FetchError::NotFound { location, status: Some(status.as_u16()) },
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            let host = answer.url().host_str().filter(|host| Some(*host) != location.host()).map(str::to_owned);
            FetchError::Denied { location, status: status.as_u16(), redirected_to: host }
        }
        _ => FetchError::Status { location, status: status.as_u16(), attempts },
    };
    Err(Failed::of_status(status, answer.headers(), error))
}

/// An error of the store after `found` bytes.
fn overfull(request: &Request, error: StoreError, found: u64) -> FetchError {
    match (error, request.size) {
        (StoreError::TooLarge { .. }, Size::Exactly(expected)) => {
            FetchError::Size { location: Box::new(request.location.clone()), expected, found }
        }
        (error, _) => failed(request, error),
    }
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
