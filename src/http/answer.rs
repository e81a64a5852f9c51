use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName};
use reqwest::{Response, StatusCode};
use tokio::time::Instant;
use url::Url;

use super::HttpError;

/// The longest answer that is read into memory. Registries bound manifests by it, too.
const SHORT: usize = 4 << 20;

/// The head of an answer, whose body is still to be read.
#[derive(Debug)]
pub struct Answer {
    response: Response,
    /// For the next bytes.
    silence: Duration,
    /// For all of them.
    deadline: Option<Instant>,
}

impl Answer {
    pub(super) fn short(response: Response, limit: Duration, deadline: Instant) -> Self {
        Self { response, silence: limit, deadline: Some(deadline) }
    }

    pub(super) fn long(response: Response, silence: Duration) -> Self {
        Self { response, silence, deadline: None }
    }

    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.response.status()
    }

    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// A header's value, if it is text.
    #[must_use]
    pub fn header(&self, name: impl Into<HeaderName>) -> Option<&str> {
        self.response.headers().get(name.into())?.to_str().ok()
    }

    #[must_use]
    pub fn url(&self) -> &Url {
        self.response.url()
    }

    /// How long the body is, if the server says so.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        self.response.content_length()
    }

    /// The next bytes of the body.
    pub async fn chunk(&mut self) -> Result<Option<impl AsRef<[u8]> + use<>>, HttpError> {
        let silent = Instant::now() + self.silence;
        let deadline = self.deadline.map_or(silent, |deadline| deadline.min(silent));
        let chunk = tokio::time::timeout_at(deadline, self.response.chunk()).await;
        chunk.map_err(|_| HttpError::Silent(self.silence))?.map_err(HttpError::network)
    }

    /// All of a short body.
    pub async fn bytes(mut self) -> Result<Vec<u8>, HttpError> {
        let mut bytes = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            bytes.extend_from_slice(chunk.as_ref());
            if bytes.len() > SHORT {
                return Err(HttpError::TooLong { limit: SHORT });
            }
        }
        Ok(bytes)
    }
}
