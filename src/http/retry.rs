use std::fmt;
use std::time::{Duration, SystemTime};

use reqwest::StatusCode;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

use super::{Client, HttpError};

/// Why an attempt failed, and whether another may succeed.
#[derive(Debug)]
pub enum Failed<E> {
    Final(E),
    /// It may be temporary.
    Passing {
        error: E,
        /// How long the server asks to wait.
        after: Option<Duration>,
        /// The number of attempts it counts as.
        cost: u32,
    },
}

/// A server that was silent, or all but silent, for a minute is unlikely to answer soon, so this counts as two attempts.
const SILENCE: u32 = 2;

/// Of four attempts, this leaves one more.
const ONCE: u32 = 2;

impl<E> From<E> for Failed<E> {
    fn from(error: E) -> Self {
        Self::Final(error)
    }
}

impl<E> Failed<E> {
    /// The failure of a request without an answer.
    pub fn of(error: HttpError, wrap: impl FnOnce(HttpError) -> E) -> Self {
        let cost = if matches!(error, HttpError::Silent(_) | HttpError::Slow { .. }) { SILENCE } else { 1 };
        if error.is_passing() {
            Self::Passing { error: wrap(error), after: None, cost }
        } else {
            Self::Final(wrap(error))
        }
    }

    /// The failure of a request with this status in its answer.
    pub fn of_status(status: StatusCode, headers: &HeaderMap, error: E) -> Self {
        if is_passing(status) {
            Self::Passing { error, after: retry_after(headers), cost: 1 }
        } else {
            Self::Final(error)
        }
    }

    /// A failure that is final if it occurs twice.
    pub fn once(error: E) -> Self {
        Self::Passing { error, after: None, cost: ONCE }
    }

    pub fn into_error(self) -> E {
        match self {
            Self::Final(error) | Self::Passing { error, .. } => error,
        }
    }
}

/// Whether a status says that the same request may succeed later.
#[must_use]
pub fn is_passing(status: StatusCode) -> bool {
    // 499 is nginx's: the connection to what is behind it broke.
    matches!(status.as_u16(), 408 | 425 | 429 | 499)
        || (status.is_server_error()
            && !matches!(status, StatusCode::NOT_IMPLEMENTED | StatusCode::HTTP_VERSION_NOT_SUPPORTED))
}

/// The wait that a server asks for: seconds or a date (RFC 9110, section 10.2.3). A date is compared with the server's
/// own clock if known.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let then = httpdate::parse_http_date(value).ok()?;
    let date = headers.get(DATE).and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok());
    Some(then.duration_since(date.unwrap_or_else(SystemTime::now)).unwrap_or_default())
}

impl Client {
    /// Makes attempts until one succeeds, fails permanently, or the limit is reached. Each gets its number, from 1.
    pub async fn attempts<T, E: fmt::Display>(
        &self,
        mut attempt: impl AsyncFnMut(u32) -> Result<T, Failed<E>>,
    ) -> Result<T, E> {
        let settings = self.settings();
        let mut number = 1;
        let mut spent = 0;
        loop {
            let (error, after, cost) = match attempt(number).await {
                Ok(value) => return Ok(value),
                Err(Failed::Final(error)) => return Err(error),
                Err(Failed::Passing { error, after, cost }) => (error, after, cost),
            };
            spent += cost;
            if spent >= settings.attempts {
                return Err(error);
            }
            let backoff = settings.backoff.saturating_mul(1 << (number - 1).min(16));
            let wait = after.unwrap_or_default().max(backoff).min(settings.longest_wait);
            // Clients that failed together should not retry together.
            let wait = wait + backoff.mul_f64(fastrand::f64() / 2.0);
            tracing::info!("{error}; trying again in {:.1} s", wait.as_secs_f64());
            tokio::time::sleep(wait).await;
            number += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn reads_seconds_and_dates() {
        let date = ("date", "Tue, 01 Sep 2026 10:00:00 GMT");
        for (value, expected) in [
            ("6", Some(6)),
            ("0", Some(0)),
            ("99999999999999999999999", Some(u64::MAX)),
            ("Tue, 01 Sep 2026 10:01:30 GMT", Some(90)),
            ("Tue, 01 Sep 2026 09:00:00 GMT", Some(0)),
            ("-1", None),
            ("soon", None),
            ("", None),
        ] {
            let found = retry_after(&headers(&[date, ("retry-after", value)]));
            assert_eq!(found, expected.map(Duration::from_secs), "{value:?}");
        }
        assert_eq!(retry_after(&headers(&[date])), None);
    }

    #[test]
    fn tells_what_may_pass() {
        for status in [408, 425, 429, 499, 500, 502, 503, 504] {
            assert!(is_passing(StatusCode::from_u16(status).unwrap()), "{status}");
        }
        for status in [400, 401, 403, 404, 405, 410, 413, 416, 501, 505] {
            assert!(!is_passing(StatusCode::from_u16(status).unwrap()), "{status}");
        }
    }

    async fn waits(after: Option<Duration>, failures: u32) -> (Result<u32, &'static str>, Duration) {
        let client = Client::new(super::super::Settings::default());
        let began = tokio::time::Instant::now();
        let result = client.attempts(async |number| {
            if number > failures { Ok(number) } else { Err(Failed::Passing { error: "busy", after, cost: 1 }) }
        });
        (result.await, began.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn waits_as_long_as_the_server_asks_but_not_for_ever() {
        let (result, waited) = waits(Some(Duration::from_secs(6)), 1).await;
        assert_eq!(result, Ok(2));
        assert!((6..7).contains(&waited.as_secs()), "{waited:?}");
        let (result, waited) = waits(Some(Duration::from_secs(u64::MAX)), 1).await;
        assert_eq!(result, Ok(2));
        assert!((30..32).contains(&waited.as_secs()), "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn waits_longer_each_time_and_gives_up() {
        let (result, waited) = waits(None, 9).await;
        assert_eq!(result, Err("busy"));
        assert!((Duration::from_millis(3500)..Duration::from_millis(5300)).contains(&waited), "{waited:?}");
    }

    #[tokio::test]
    async fn does_not_repeat_what_is_final() {
        let client = Client::new(super::super::Settings::default());
        let mut attempts = 0;
        let result: Result<(), _> = client
            .attempts(async |_| {
                attempts += 1;
                Err(Failed::Final("no"))
            })
            .await;
        assert_eq!((result, attempts), (Err("no"), 1));
    }
}
