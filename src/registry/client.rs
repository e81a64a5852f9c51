use std::collections::HashMap;

use serde::Deserialize;
use tokio::sync::Mutex;
use url::Url;

use super::auth::{Access, denied};
use super::keychain::Keychain;
use super::session::Sessions;
use super::upload::Limits;
use super::{RegistryError, Repository};
use crate::digest::Sha256;
use crate::http::header::{AUTHORIZATION, HeaderValue};
use crate::http::{Answer, Download, DownloadError, Failed, HttpError, Method, RequestBuilder, StatusCode, shown};
use crate::printable;
use crate::store::Store;

/// How many characters of a registry's message are shown.
const MAX_MESSAGE: usize = 500;

/// A registry client that keeps tokens and what it learns about each registry.
#[derive(Debug, Default)]
pub struct Client {
    pub(super) http: crate::http::Client,
    pub(super) keychain: Keychain,
    /// The size of requests that each registry accepts, by host.
    pub(super) limits: Mutex<HashMap<String, Limits>>,
    /// The repositories pushed to, and which of them has a blob.
    pub(super) homes: Mutex<Vec<(Repository, Vec<Sha256>)>>,
    pub(super) sessions: Sessions,
}

impl Client {
    /// Speaks through `http`.
    #[must_use]
    pub fn new(http: crate::http::Client) -> Self {
        Self { http, ..Self::default() }
    }

    /// Whether the repository has the blob. A registry that can't answer counts as one without it.
    pub async fn has_blob(&self, repository: &Repository, digest: Sha256) -> Result<bool, RegistryError> {
        self.finds(Access { repository, push: false, from: &[] }, digest).await
    }

    pub(super) async fn finds(&self, access: Access<'_>, digest: Sha256) -> Result<bool, RegistryError> {
        let url = access.repository.url(&format!("blobs/{}", digest.to_oci()))?;
        Ok(self.find(access, Method::HEAD, &url, |request| request).await?.is_some())
    }

    /// Asks for something that may be there. A registry that can't answer counts as one without it.
    pub(super) async fn find(
        &self,
        access: Access<'_>,
        method: Method,
        url: &Url,
        fill: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Option<Answer>, RegistryError> {
        let asked = self.http.attempts(async |_| {
            let answer = self.exchange(access, method.clone(), url, &fill).await?;
            if answer.status().is_success() { Ok(answer) } else { Err(self.refused(access, answer).await) }
        });
        match asked.await {
            Ok(answer) => Ok(Some(answer)),
            Err(RegistryError::Unexpected { .. } | RegistryError::Denied { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Pulls a blob of `size` bytes into the store, which checks its digest.
    pub async fn pull_blob(
        &self,
        repository: &Repository,
        digest: Sha256,
        size: u64,
        store: &Store,
    ) -> Result<(), RegistryError> {
        let access = Access { repository, push: false, from: &[] };
        let url = repository.url(&format!("blobs/{}", digest.to_oci()))?;
        let refused = |source| RegistryError::Blob { url: shown(&url), source };
        let mut download = Download::new(store, size, true).map_err(refused)?;
        self.http
            .attempts(async |_| {
                let ask = async |authorization| {
                    let request = self.request(Method::GET, &url, authorization)?;
                    let answer = self.http.open(download.resume(request)).await;
                    answer.map_err(|error| Failed::of(error, unreachable(&url)))
                };
                let answer = self.authenticated(access, &url, ask).await?;
                match answer.status() {
                    status if status.is_success() || status == StatusCode::RANGE_NOT_SATISFIABLE => {}
                    StatusCode::NOT_FOUND => return Err(missing(repository, digest).into()),
                    _ => return Err(self.refused(access, answer).await),
                }
                download.take(answer, &mut |_| ()).await.map_err(|error| match error {
                    DownloadError::Http(error) => Failed::of(error, unreachable(&url)),
                    DownloadError::Store { source, .. } => refused(source).into(),
                    DownloadError::Range => {
                        let error = unexpected(&url, StatusCode::RANGE_NOT_SATISFIABLE, String::new());
                        Failed::Passing { error, after: None, cost: 1 }
                    }
                })
            })
            .await?;
        download.finish().finish(Some(digest)).map(drop).map_err(refused)
    }

    /// A request with a short answer of any status.
    pub(super) async fn exchange(
        &self,
        access: Access<'_>,
        method: Method,
        url: &Url,
        fill: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Answer, Failed<RegistryError>> {
        let send = async |authorization| {
            let request = fill(self.request(method.clone(), url, authorization)?);
            self.http.send(request).await.map_err(|error| Failed::of(error, unreachable(url)))
        };
        self.authenticated(access, url, send).await
    }

    pub(super) fn request(
        &self,
        method: Method,
        url: &Url,
        authorization: Option<HeaderValue>,
    ) -> Result<RequestBuilder, RegistryError> {
        let request = self.http.request(method, url).map_err(unreachable(url))?;
        Ok(match authorization {
            Some(value) => request.header(AUTHORIZATION, value),
            None => request,
        })
    }

    /// The error for an answer.
    pub(super) async fn refused(&self, access: Access<'_>, answer: Answer) -> Failed<RegistryError> {
        let (status, headers, url) = (answer.status(), answer.headers().clone(), answer.url().clone());
        let said = message(&answer.bytes().await.unwrap_or_default());
        let error = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                let logged_in = self.is_logged_in(access.repository, &url).await;
                denied(access.repository, status, logged_in, &said)
            }
            _ => unexpected(&url, status, said),
        };
        Failed::of_status(status, &headers, error)
    }
}

pub(super) fn unreachable(url: &Url) -> impl Fn(HttpError) -> RegistryError {
    |source| RegistryError::Unreachable { url: shown(url), source }
}

pub(super) fn unexpected(url: &Url, status: StatusCode, said: String) -> RegistryError {
    RegistryError::Unexpected { url: shown(url), status: status.as_u16(), said }
}

fn missing(repository: &Repository, digest: Sha256) -> RegistryError {
    RegistryError::Missing { repository: repository.to_string(), digest: digest.to_oci() }
}

/// A registry's description of an error, in one line: the codes and messages of the distribution-spec, or whatever it
/// sent.
pub(super) fn message(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Errors {
        errors: Vec<Error>,
    }
    #[derive(Deserialize)]
    struct Error {
        #[serde(default)]
        code: String,
        #[serde(default)]
        message: Option<String>,
    }
    let listed = serde_json::from_slice::<Errors>(body).map(|Errors { errors }| {
        let line = |Error { code, message }: Error| match message.filter(|message| !message.is_empty()) {
            Some(message) if code.is_empty() => message,
            Some(message) => format!("{code}: {message}"),
            None => code,
        };
        errors.into_iter().map(line).collect::<Vec<_>>().join("; ")
    });
    let text = listed.unwrap_or_else(|_| String::from_utf8_lossy(body).into_owned());
    printable::line(&text, MAX_MESSAGE)
}
