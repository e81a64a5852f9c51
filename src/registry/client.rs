use std::collections::HashMap;
use std::time::Duration;

use camino::Utf8Path;
use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, LOCATION, WWW_AUTHENTICATE};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use tokio::sync::Mutex;
use tokio_util::io::ReaderStream;
use url::Url;

use super::auth::{self, Challenge};
use super::{RegistryError, Repository, Tag};
use crate::digest::Sha256;
use crate::store::Store;

/// How often a request is sent until the registry's trouble is believed.
const TRIES: u32 = 4;

/// How much of an unexpected answer is shown, bytes.
const MAX_MESSAGE: u64 = 4096;

/// Speaks to registries; keeps connections and tokens.
#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    /// The `Authorization` header that worked last, by repository.
    authorization: Mutex<HashMap<String, HeaderValue>>,
}

/// A body that can be sent again.
enum Body<'a> {
    None,
    Bytes(&'static str, &'a [u8]),
    File(&'a Utf8Path, u64),
}

impl Client {
    /// Speaks through `http`, whose redirects and proxies are the caller's to choose.
    #[must_use]
    pub fn new(http: reqwest::Client) -> Self {
        Self { http, authorization: Mutex::new(HashMap::new()) }
    }

    /// Whether the repository has the blob.
    pub async fn has_blob(&self, repository: &Repository, digest: Sha256) -> Result<bool, RegistryError> {
        let url = repository.url(&format!("blobs/{}", digest.to_oci()))?;
        let response = self.send(repository, Method::HEAD, &url, &Body::None).await?;
        match response.status() {
            StatusCode::OK => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            _ => Err(unexpected(&url, response).await),
        }
    }

    /// Uploads a file of `size` bytes as the blob `digest`, or, where the registry has it in the repository `from`,
    /// has it linked from there.
    pub async fn push_blob(
        &self,
        repository: &Repository,
        digest: Sha256,
        path: &Utf8Path,
        size: u64,
        from: Option<&Repository>,
    ) -> Result<(), RegistryError> {
        let mut start = repository.url("blobs/uploads/")?;
        if let Some(from) = from.filter(|from| from.host() == repository.host()) {
            start.query_pairs_mut().append_pair("mount", &digest.to_oci()).append_pair("from", from.path());
        }
        let response = self.send(repository, Method::POST, &start, &Body::None).await?;
        let mut upload = match response.status() {
            StatusCode::CREATED => return Ok(()),
            StatusCode::ACCEPTED => location(&start, &response)?,
            _ => return Err(unexpected(&start, response).await),
        };
        upload.query_pairs_mut().append_pair("digest", &digest.to_oci());
        let response = self.send(repository, Method::PUT, &upload, &Body::File(path, size)).await?;
        match response.status() {
            StatusCode::CREATED => Ok(()),
            _ => Err(unexpected(&upload, response).await),
        }
    }

    /// Brings a blob of `size` bytes into the store, which checks that it is the one of this digest.
    pub async fn pull_blob(
        &self,
        repository: &Repository,
        digest: Sha256,
        size: u64,
        store: &Store,
    ) -> Result<(), RegistryError> {
        let url = repository.url(&format!("blobs/{}", digest.to_oci()))?;
        let refused = |source| RegistryError::Blob { url: url.to_string(), source };
        let mut tries = 1;
        loop {
            let mut response = self.send(repository, Method::GET, &url, &Body::None).await?;
            match response.status() {
                StatusCode::OK => {}
                StatusCode::NOT_FOUND => {
                    return Err(RegistryError::Missing { repository: repository.to_string(), digest: digest.to_oci() });
                }
                _ => return Err(unexpected(&url, response).await),
            }
            let mut incoming = store.incoming(size).map_err(refused)?;
            let broken = loop {
                match response.chunk().await {
                    Ok(Some(bytes)) => incoming.write(&bytes).map_err(refused)?,
                    Ok(None) => break None,
                    Err(error) => break Some(error),
                }
            };
            match broken {
                None => return incoming.finish(Some(digest)).map(drop).map_err(refused),
                Some(error) if tries < TRIES => {
                    tracing::info!("{url}: {error}, trying again");
                    wait(&mut tries).await;
                }
                Some(source) => {
                    return Err(RegistryError::Unreachable { url: url.to_string(), source: source.without_url() });
                }
            }
        }
    }

    /// Stores a manifest under `tag` and makes sure that the registry computed the same digest.
    pub async fn push_manifest(
        &self,
        repository: &Repository,
        tag: &Tag,
        media_type: &'static str,
        manifest: &[u8],
    ) -> Result<(), RegistryError> {
        let url = repository.url(&format!("manifests/{tag}"))?;
        let response = self.send(repository, Method::PUT, &url, &Body::Bytes(media_type, manifest)).await?;
        if response.status() != StatusCode::CREATED {
            return Err(unexpected(&url, response).await);
        }
        let expected = Sha256::of(manifest).to_oci();
        match response.headers().get("docker-content-digest").and_then(|found| found.to_str().ok()) {
            Some(found) if found != expected => {
                Err(RegistryError::Stored { url: url.to_string(), expected, found: found.to_owned() })
            }
            _ => Ok(()),
        }
    }

    /// Sends a request, authenticates where asked to, and tries again where the trouble may pass.
    async fn send(
        &self,
        repository: &Repository,
        method: Method,
        url: &Url,
        body: &Body<'_>,
    ) -> Result<Response, RegistryError> {
        let mut challenged = false;
        let mut tries = 1;
        loop {
            let mut request = fill(self.http.request(method.clone(), url.clone()), body).await?;
            if is_same_origin(repository, url)
                && let Some(value) = self.authorization.lock().await.get(&repository.to_string())
            {
                request = request.header(AUTHORIZATION, value.clone());
            }
            match request.send().await {
                Ok(response) if response.status() == StatusCode::UNAUTHORIZED && !challenged => {
                    challenged = true;
                    self.authenticate(repository, &response).await?;
                }
                Ok(response) if is_denied(response.status()) => {
                    let status = response.status().as_u16();
                    return Err(RegistryError::Denied { repository: repository.to_string(), status });
                }
                Ok(response) if tries < TRIES && is_transient(response.status()) => wait(&mut tries).await,
                Err(error) if tries < TRIES && !error.is_builder() => {
                    tracing::info!("{url}: {error}, trying again");
                    wait(&mut tries).await;
                }
                Ok(response) => return Ok(response),
                Err(source) => {
                    return Err(RegistryError::Unreachable { url: url.to_string(), source: source.without_url() });
                }
            }
        }
    }

    async fn authenticate(&self, repository: &Repository, response: &Response) -> Result<(), RegistryError> {
        let headers = response.headers().get_all(WWW_AUTHENTICATE).iter();
        let challenge =
            headers.filter_map(|value| value.to_str().ok()).find_map(Challenge::parse).ok_or_else(|| {
                RegistryError::Challenge {
                    host: repository.host().to_owned(),
                    reason: "neither Basic nor Bearer".to_owned(),
                }
            })?;
        let value = auth::answer(&self.http, repository, &challenge).await?;
        self.authorization.lock().await.insert(repository.to_string(), value);
        Ok(())
    }
}

async fn fill(request: RequestBuilder, body: &Body<'_>) -> Result<RequestBuilder, RegistryError> {
    Ok(match body {
        Body::None => request,
        Body::Bytes(media_type, bytes) => request.header(CONTENT_TYPE, *media_type).body(bytes.to_vec()),
        Body::File(path, size) => {
            let file = fs_err::tokio::File::open(path)
                .await
                .map_err(|source| RegistryError::Read { path: path.to_path_buf(), source })?;
            request
                .header(CONTENT_TYPE, "application/octet-stream")
                .header(CONTENT_LENGTH, *size)
                .body(reqwest::Body::wrap_stream(ReaderStream::with_capacity(file, 1 << 18)))
        }
    })
}

/// A registry may send the upload elsewhere; our token is not for there.
fn is_same_origin(repository: &Repository, url: &Url) -> bool {
    repository.url("").is_ok_and(|own| own.origin() == url.origin())
}

fn is_denied(status: StatusCode) -> bool {
    matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
}

fn is_transient(status: StatusCode) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::REQUEST_TIMEOUT || status.is_server_error()
}

/// Waits a second, then two, then four.
async fn wait(tries: &mut u32) {
    tokio::time::sleep(Duration::from_secs(1 << (*tries - 1))).await;
    *tries += 1;
}

/// Where to upload to: the `Location` header, which may be relative.
fn location(url: &Url, response: &Response) -> Result<Url, RegistryError> {
    let header = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    header.and_then(|header| url.join(header).ok()).ok_or_else(|| RegistryError::Unexpected {
        url: url.to_string(),
        status: response.status().as_u16(),
        body: "no Location to upload to".to_owned(),
    })
}

async fn unexpected(url: &Url, response: Response) -> RegistryError {
    let status = response.status().as_u16();
    match body(response, MAX_MESSAGE).await {
        Ok(body) => {
            let body = String::from_utf8_lossy(&body).trim().to_owned();
            RegistryError::Unexpected { url: url.to_string(), status, body }
        }
        Err(error) => error,
    }
}

/// At most `limit` bytes of an answer.
pub(super) async fn body(mut response: Response, limit: u64) -> Result<Vec<u8>, RegistryError> {
    let url = response.url().to_string();
    let mut bytes = Vec::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|source| RegistryError::Unreachable { url: url.clone(), source: source.without_url() })?
    {
        bytes.extend_from_slice(&chunk);
        if bytes.len() as u64 >= limit {
            bytes.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
            break;
        }
    }
    Ok(bytes)
}
