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
    limit: Limit,
}

/// What bounds the time for all of a body.
#[derive(Debug)]
enum Limit {
    Deadline(Instant),
    Pace(Pace),
}

/// The pace of a long body: how much has arrived while it was waited for. Time in which nobody asked for more, because a
/// disk was busy, doesn't count.
#[derive(Debug)]
struct Pace {
    least: u64,
    waited: Duration,
    received: u64,
}

impl Answer {
    pub(super) fn short(response: Response, limit: Duration, deadline: Instant) -> Self {
        Self { response, silence: limit, limit: Limit::Deadline(deadline) }
    }

    /// At least so many bytes have to arrive in as much time as the server may be silent.
    pub(super) fn long(response: Response, silence: Duration, least: u64) -> Self {
        let pace = Pace { least, waited: Duration::ZERO, received: 0 };
        Self { response, silence, limit: Limit::Pace(pace) }
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
        let asked = Instant::now();
        let silent = asked + self.silence;
        let deadline = match self.limit {
            Limit::Deadline(deadline) => deadline.min(silent),
            Limit::Pace(_) => silent,
        };
        let chunk = tokio::time::timeout_at(deadline, self.response.chunk()).await;
        let chunk = chunk.map_err(|_| HttpError::Silent(self.silence))?.map_err(HttpError::network)?;
        if let (Limit::Pace(pace), Some(chunk)) = (&mut self.limit, &chunk) {
            pace.take(chunk.len(), asked.elapsed(), self.silence)?;
        }
        Ok(chunk)
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

impl Pace {
    fn take(&mut self, bytes: usize, waited: Duration, silence: Duration) -> Result<(), HttpError> {
        self.received += bytes as u64;
        self.waited += waited;
        if self.waited < silence {
            return Ok(());
        }
        if self.received < self.least {
            return Err(HttpError::Slow { did: "sent", bytes: self.received, within: self.waited });
        }
        (self.received, self.waited) = (0, Duration::ZERO);
        Ok(())
    }
}
