use std::io::{self, SeekFrom};
use std::ops::Range;

use tokio::io::AsyncSeekExt as _;
use url::Url;

use super::auth::Access;
use super::client::{Client, unexpected, unreachable};
use super::{Blob, RegistryError, Repository};
use crate::http::header::{CONTENT_LENGTH, CONTENT_RANGE, LOCATION, RANGE};
use crate::http::{self, Answer, Failed, MAX_REDIRECTS, Method, Part, RequestBuilder, StatusCode, is_passing};
use crate::store::{open_blob, open_verified_blob};

/// The largest chunk, in bytes. GitHub's registry accepts no more.
const CHUNK: u64 = 4 << 20;

/// The smallest chunk, in bytes, before giving up.
const LEAST_CHUNK: u64 = 64 << 10;

/// The attempt from which on a large blob is sent in chunks, so that an interruption no longer restarts it.
const CHUNKS_FROM: u32 = 3;

/// What is known about the size of requests that a registry accepts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Blobs of at least this size are too large for one request.
    whole: u64,
    chunk: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { whole: u64::MAX, chunk: CHUNK }
    }
}

/// Where the rest of a blob goes.
struct Session {
    url: Url,
    /// Only the last chunk may be smaller (`OCI-Chunk-Min-Length`).
    least_chunk: u64,
}

/// Receives the number of bytes sent of a blob.
pub(super) type Sent<'a> = &'a (dyn Fn(&Blob, u64) + Sync);

impl Client {
    /// Mounts a blob from another repository of the registry. Returns false if the registry refuses, for whatever
    /// reason.
    pub(super) async fn mount(
        &self,
        access: Access<'_>,
        blob: &Blob,
        from: &Repository,
    ) -> Result<bool, RegistryError> {
        let mut url = access.repository.url("blobs/uploads/")?;
        url.query_pairs_mut().append_pair("mount", &blob.digest.to_oci()).append_pair("from", from.path());
        let answer = match self.exchange(access, Method::POST, &url, without_body).await {
            Ok(answer) => answer,
            Err(Failed::Passing { error, .. } | Failed::Final(error)) => {
                tracing::debug!("{} is not linked from {from}: {error}", blob.digest);
                return Ok(false);
            }
        };
        // A registry that doesn't support mounting starts an upload instead, and some answer 201 for that, too.
        let begins = answer.header(LOCATION).is_some_and(|location| location.contains("/uploads/"));
        Ok(answer.status() == StatusCode::CREATED && !begins)
    }

    pub(super) async fn upload(&self, access: Access<'_>, blob: &Blob, sent: Sent<'_>) -> Result<(), RegistryError> {
        check(blob).await?;
        self.http
            .attempts(async |number| {
                if number > 1 && self.finds(access, blob.digest).await? {
                    // The lost answer was a success.
                    return Ok(());
                }
                let limits = self.limits_of(access).await;
                let in_chunks = blob.size >= limits.whole || (number >= CHUNKS_FROM && blob.size > limits.chunk);
                if !in_chunks && self.send_whole(access, blob, sent).await? {
                    return Ok(());
                }
                self.send_chunks(access, blob, sent).await
            })
            .await
    }

    async fn limits_of(&self, access: Access<'_>) -> Limits {
        self.limits.lock().await.get(access.repository.host()).copied().unwrap_or_default()
    }

    async fn learn(&self, access: Access<'_>, change: impl FnOnce(&mut Limits)) {
        change(self.limits.lock().await.entry(access.repository.host().to_owned()).or_default());
    }

    async fn begin(&self, access: Access<'_>) -> Result<Session, Failed<RegistryError>> {
        let url = access.repository.url("blobs/uploads/")?;
        let answer = self.exchange(access, Method::POST, &url, without_body).await?;
        if !answer.status().is_success() {
            return Err(self.refused(access, answer).await);
        }
        let least = answer.headers().get("oci-chunk-min-length").and_then(|value| value.to_str().ok());
        let least_chunk = least.and_then(|value| value.trim().parse().ok()).unwrap_or(0);
        let Some(url) = location(&self.http, &answer) else {
            return Err(unexpected(&url, answer.status(), "it gave no usable Location to upload to".to_owned()).into());
        };
        Ok(Session { url, least_chunk })
    }

    /// Sends a blob in one request. Returns false if that is too large for the registry.
    async fn send_whole(&self, access: Access<'_>, blob: &Blob, sent: Sent<'_>) -> Result<bool, Failed<RegistryError>> {
        let session = self.begin(access).await?;
        let url = with_digest(&session.url, blob);
        let answer = self.send_part(access, (Method::PUT, &url), blob, 0..blob.size, sent).await?;
        match answer.status() {
            status if status.is_success() => Ok(true),
            StatusCode::PAYLOAD_TOO_LARGE | StatusCode::RANGE_NOT_SATISFIABLE => {
                self.learn(access, |limits| limits.whole = limits.whole.min(blob.size)).await;
                Ok(false)
            }
            _ => Err(self.refused_upload(access, answer).await),
        }
    }

    /// Sends a blob in chunks, each of which can be retried.
    async fn send_chunks(&self, access: Access<'_>, blob: &Blob, sent: Sent<'_>) -> Result<(), Failed<RegistryError>> {
        let Session { mut url, least_chunk } = self.begin(access).await?;
        let mut offset = 0;
        let mut stalled = 0;
        while offset < blob.size {
            let before = offset;
            let (next, reached) = self.send_chunk(access, &url, blob, (offset, least_chunk), sent).await?;
            (url, offset) = (next, reached);
            stalled = if offset > before { 0 } else { stalled + 1 };
            if stalled > self.http.settings().attempts {
                let said = format!("it accepts only {offset} of {} bytes", blob.size);
                return Err(unexpected(&url, StatusCode::RANGE_NOT_SATISFIABLE, said).into());
            }
        }
        let url = with_digest(&url, blob);
        let answer = self.exchange(access, Method::PUT, &url, without_body).await?;
        if answer.status().is_success() { Ok(()) } else { Err(self.refused_upload(access, answer).await) }
    }

    /// Sends the chunk at `offset`. Returns the URL and offset of the next one.
    async fn send_chunk(
        &self,
        access: Access<'_>,
        url: &Url,
        blob: &Blob,
        (offset, least): (u64, u64),
        sent: Sent<'_>,
    ) -> Result<(Url, u64), Failed<RegistryError>> {
        let chunk = self.limits_of(access).await.chunk.max(least).min(blob.size - offset);
        let end = offset + chunk;
        let outcome = self.http.attempts(async |number| {
            if number > 1 {
                // The request may or may not have arrived. A registry that can't say is sent it again.
                match self.progress_of(access, url, end).await {
                    Ok(Some(progress)) if progress.1 != offset => return Ok(Ok(progress)),
                    Ok(_) => {}
                    Err(failed) => return Ok(Err(failed)),
                }
            }
            let answer = self.send_part(access, (Method::PATCH, url), blob, offset..end, sent).await?;
            match answer.status() {
                status if status.is_success() => {
                    let reached = range_end(&answer).map_or(end, |reached| reached.min(end));
                    Ok(Ok((location(&self.http, &answer).unwrap_or_else(|| url.clone()), reached)))
                }
                StatusCode::PAYLOAD_TOO_LARGE if chunk > least.max(LEAST_CHUNK) => {
                    self.learn(access, |limits| limits.chunk = (chunk / 2).max(LEAST_CHUNK)).await;
                    let progress = self.progress_of(access, url, end).await;
                    Ok(progress.map(|progress| progress.unwrap_or_else(|| (url.clone(), offset))))
                }
                StatusCode::RANGE_NOT_SATISFIABLE => Ok(match self.progress_of(access, url, end).await {
                    Ok(Some(progress)) => Ok(progress),
                    Ok(None) => Err(self.refused_upload(access, answer).await),
                    Err(failed) => Err(failed),
                }),
                status if is_passing(status) => Err(self.refused(access, answer).await),
                _ => Ok(Err(self.refused_upload(access, answer).await)),
            }
        });
        outcome.await?
    }

    /// Where an upload continues, and how many of its bytes the registry has: at most those that were sent. None if the
    /// registry doesn't say.
    async fn progress_of(
        &self,
        access: Access<'_>,
        url: &Url,
        sent: u64,
    ) -> Result<Option<(Url, u64)>, Failed<RegistryError>> {
        let is_lost = |status| matches!(status, StatusCode::NOT_FOUND | StatusCode::GONE);
        let asked = self.http.attempts(async |_| {
            let answer = self.exchange(access, Method::GET, url, |request| request).await?;
            match answer.status() {
                status if status.is_success() || is_lost(status) => Ok(answer),
                _ => Err(self.refused(access, answer).await),
            }
        });
        let answer = match asked.await {
            Ok(answer) if is_lost(answer.status()) => return Err(self.refused_upload(access, answer).await),
            Ok(answer) => answer,
            Err(RegistryError::Unexpected { .. } | RegistryError::Denied { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let next = location(&self.http, &answer).unwrap_or_else(|| url.clone());
        Ok(range_end(&answer).map(|reached| match reached {
            // Registries answer "0-0" if they have nothing.
            0 | 1 => (next, 0),
            reached => (next, reached.min(sent)),
        }))
    }

    /// Sends a part of a blob to where the registry redirects it, which the HTTP client doesn't do for a file.
    async fn send_part(
        &self,
        access: Access<'_>,
        (method, url): (Method, &Url),
        blob: &Blob,
        part: Range<u64>,
        sent: Sent<'_>,
    ) -> Result<Answer, Failed<RegistryError>> {
        let mut url = url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let answer = self.send_part_to(access, (&method, &url), blob, part.clone(), sent).await?;
            match redirect(&self.http, &answer) {
                Some(next) => url = next,
                None => return Ok(answer),
            }
        }
        Err(unexpected(&url, StatusCode::TEMPORARY_REDIRECT, "too many redirects".to_owned()).into())
    }

    async fn send_part_to(
        &self,
        access: Access<'_>,
        (method, url): (&Method, &Url),
        blob: &Blob,
        part: Range<u64>,
        sent: Sent<'_>,
    ) -> Result<Answer, Failed<RegistryError>> {
        let unreadable = |source| RegistryError::Read { path: blob.path.clone(), source };
        let request_part = async |authorization| {
            let mut file = tokio::fs::File::from_std(open_blob(&blob.path).map_err(unreadable)?);
            file.seek(SeekFrom::Start(part.start)).await.map_err(unreadable)?;
            let mut request = self.request(method.clone(), url, authorization)?;
            if *method == Method::PATCH {
                request = request.header(CONTENT_RANGE, format!("{}-{}", part.start, part.end.saturating_sub(1)));
            }
            sent(blob, part.start);
            let part = Part { file, length: part.end - part.start };
            let answer = self.http.upload(request, part, &mut |bytes| sent(blob, bytes)).await;
            answer.map_err(|error| Failed::of(error, unreachable(url)))
        };
        self.authenticated(access, url, request_part).await
    }

    /// Like [`refused`](Client::refused), but an upload that the registry has lost or confused can be restarted, and
    /// one that arrived damaged can be sent once more.
    async fn refused_upload(&self, access: Access<'_>, answer: Answer) -> Failed<RegistryError> {
        let is_lost =
            matches!(answer.status(), StatusCode::NOT_FOUND | StatusCode::GONE | StatusCode::RANGE_NOT_SATISFIABLE);
        let says = |error: &RegistryError, codes: &[&str]| codes.iter().any(|code| error.says(code));
        match self.refused(access, answer).await {
            Failed::Final(error) if is_lost || says(&error, &["BLOB_UPLOAD_", "RANGE_INVALID"]) => {
                Failed::Passing { error, after: None, cost: 1 }
            }
            Failed::Final(error) if says(&error, &["DIGEST_INVALID", "SIZE_INVALID"]) => Failed::once(error),
            failed => failed,
        }
    }
}

/// Reads a blob before anything of it is sent: whoever wrote the layout may have put something else in its place.
async fn check(blob: &Blob) -> Result<(), RegistryError> {
    let Blob { path, digest, size } = blob.clone();
    let checked = tokio::task::spawn_blocking(move || open_verified_blob(&path, digest, size).map(drop)).await;
    let unreadable = |source| RegistryError::Read { path: blob.path.clone(), source };
    checked.map_err(io::Error::other).map_err(unreadable)?.map_err(unreadable)
}

/// Some servers require a length, as RFC 9110 (section 8.6) allows.
fn without_body(request: RequestBuilder) -> RequestBuilder {
    request.header(CONTENT_LENGTH, 0)
}

fn with_digest(url: &Url, blob: &Blob) -> Url {
    let mut url = url.clone();
    url.query_pairs_mut().append_pair("digest", &blob.digest.to_oci());
    url
}

/// Where to continue: the `Location` header, which may be relative. A registry behind a proxy may believe that it is
/// accessed without TLS.
fn location(http: &http::Client, answer: &Answer) -> Option<Url> {
    let base = answer.url();
    let mut url = base.join(answer.header(LOCATION)?).ok()?;
    if base.scheme() == "https" && url.scheme() == "http" {
        if url.host() != base.host() {
            return None;
        }
        url.set_port(base.port()).ok()?;
        url.set_scheme("https").ok()?;
    }
    (matches!(url.scheme(), "http" | "https") && http.may_lead(base, &url)).then_some(url)
}

/// Where the same request is to be sent instead.
fn redirect(http: &http::Client, answer: &Answer) -> Option<Url> {
    let is_redirect = matches!(answer.status(), StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT);
    if is_redirect { location(http, answer) } else { None }
}

/// How many bytes a registry has, by its `Range: 0-LAST`. For none, some count down to `0--1`.
fn range_end(answer: &Answer) -> Option<u64> {
    end_of(answer.header(RANGE)?)
}

fn end_of(range: &str) -> Option<u64> {
    let range = range.trim();
    let range = range.strip_prefix("bytes").unwrap_or(range).split('/').next()?;
    let (_, last) = range.split_once('-')?;
    last.trim().parse::<i64>().ok()?.checked_add(1)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_ranges() {
        for (range, end) in [
            ("0-9", Some(10)),
            ("bytes=0-9", Some(10)),
            ("bytes 0-9/*", Some(10)),
            ("0-0", Some(1)),
            ("0--1", Some(0)),
            ("bytes=0--1", Some(0)),
            ("0--2", None),
            ("0-9223372036854775807", None),
            ("0-", None),
            ("9", None),
            ("", None),
        ] {
            assert_eq!(end_of(range), end, "{range:?}");
        }
    }
}
