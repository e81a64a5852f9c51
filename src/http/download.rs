use reqwest::header::{CONTENT_RANGE, RANGE};
use reqwest::{RequestBuilder, StatusCode};

use super::{Answer, HttpError};
use crate::store::{Incoming, Store, StoreError};

/// A download into the store that can resume after an interruption.
#[derive(Debug)]
pub struct Download<'a> {
    store: &'a Store,
    limit: u64,
    incoming: Incoming,
    /// Whether later parts must belong to earlier ones.
    is_pinned: bool,
}

/// Events of a download.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// It starts, perhaps again.
    Started,
    /// This many bytes arrived.
    Received(u64),
}

/// Why a body was not received.
#[derive(Debug)]
pub enum DownloadError {
    /// The server ended the transfer early.
    Http(HttpError),
    Store {
        source: StoreError,
        /// The number of bytes received by then.
        found: u64,
    },
    /// The server doesn't have this part, or sent another.
    Range,
}

impl<'a> Download<'a> {
    /// A download of at most `limit` bytes. Only a file with a known digest (`is_pinned`) can be assembled from the
    /// answers to several requests: any other may change in between.
    pub fn new(store: &'a Store, limit: u64, is_pinned: bool) -> Result<Self, StoreError> {
        Ok(Self { store, limit, incoming: store.incoming(limit)?, is_pinned })
    }

    pub fn resume(&self, request: RequestBuilder) -> RequestBuilder {
        match self.incoming.size() {
            0 => request,
            _ if !self.is_pinned => request,
            size => request.header(RANGE, format!("bytes={size}-")),
        }
    }

    /// Bytes received.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.incoming.size()
    }

    /// The size of the file according to an answer that has all of it or its rest.
    #[must_use]
    pub fn size_by(&self, answer: &Answer) -> Option<u64> {
        match answer.status() {
            StatusCode::PARTIAL_CONTENT if self.is_rest(answer) => Some(self.incoming.size() + answer.length()?),
            StatusCode::OK => answer.length(),
            _ => None,
        }
    }

    fn is_rest(&self, answer: &Answer) -> bool {
        range_start(answer) == Some(self.incoming.size())
    }

    /// Takes the body of an answer that is a success or says that there is no such range.
    pub async fn take(&mut self, mut answer: Answer, event: &mut dyn FnMut(Event)) -> Result<(), DownloadError> {
        let is_rest = match answer.status() {
            StatusCode::PARTIAL_CONTENT => self.is_rest(&answer),
            StatusCode::RANGE_NOT_SATISFIABLE => false,
            _ => {
                self.begin_anew()?;
                true
            }
        };
        if !is_rest {
            self.begin_anew()?;
            return Err(DownloadError::Range);
        }
        if self.incoming.size() == 0 {
            event(Event::Started);
        }
        while let Some(chunk) = answer.chunk().await.map_err(DownloadError::Http)? {
            let bytes = chunk.as_ref();
            let found = self.incoming.size() + bytes.len() as u64;
            self.incoming.write(bytes).map_err(|source| DownloadError::Store { source, found })?;
            event(Event::Received(bytes.len() as u64));
        }
        Ok(())
    }

    /// Discards the received bytes.
    fn begin_anew(&mut self) -> Result<(), DownloadError> {
        if self.incoming.size() > 0 {
            let incoming = self.store.incoming(self.limit);
            self.incoming = incoming.map_err(|source| DownloadError::Store { source, found: 0 })?;
        }
        Ok(())
    }

    /// The received bytes.
    #[must_use]
    pub fn finish(self) -> Incoming {
        self.incoming
    }
}

fn range_start(answer: &Answer) -> Option<u64> {
    let (start, _) = answer.header(CONTENT_RANGE)?.trim().strip_prefix("bytes ")?.split_once('-')?;
    start.trim().parse().ok()
}
