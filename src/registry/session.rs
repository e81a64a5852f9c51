use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::Mutex;
use url::Url;

use super::auth::{Access, Challenge, challenge_of};
use super::{Client, RegistryError, Repository};
use crate::http::header::HeaderValue;
use crate::http::{Answer, Failed, Method, StatusCode, shown};

/// The access to a repository.
#[derive(Debug, Default)]
pub(super) struct Session {
    /// The `Authorization` header that worked last.
    authorization: Option<HeaderValue>,
    /// Whether a login has been tried that the registry didn't ask for.
    was_tried: bool,
}

/// By repository.
pub(super) type Sessions = Mutex<HashMap<String, Arc<Mutex<Session>>>>;

impl Client {
    /// Sends a request, and once more with new credentials if the registry may want some.
    pub(super) async fn authenticated(
        &self,
        access: Access<'_>,
        url: &Url,
        mut send: impl AsyncFnMut(Option<HeaderValue>) -> Result<Answer, Failed<RegistryError>>,
    ) -> Result<Answer, Failed<RegistryError>> {
        if !is_same_origin(access.repository, url) {
            // A registry may redirect uploads to another host, which must not get our token.
            return send(None).await;
        }
        let session = self.session(access.repository).await;
        let used = session.lock().await.authorization.clone();
        let answer = send(used.clone()).await?;
        if !may_want_login(answer.status(), used.is_some()) {
            return Ok(answer);
        }
        let renewed = {
            // Others whose token has expired in the meantime wait here and use the new one.
            let mut current = session.lock().await;
            if current.authorization == used {
                match self.log_in(access, &answer, &mut current).await? {
                    None => return Ok(answer),
                    renewed => current.authorization = renewed,
                }
            }
            current.authorization.clone()
        };
        send(renewed).await
    }

    /// Logs in after this answer, in the way that the registry wants.
    async fn log_in(
        &self,
        access: Access<'_>,
        answer: &Answer,
        session: &mut Session,
    ) -> Result<Option<HeaderValue>, RegistryError> {
        let is_asked_for = answer.status() == StatusCode::UNAUTHORIZED;
        if !is_asked_for && std::mem::replace(&mut session.was_tried, true) {
            return Ok(None);
        }
        let challenge = match challenge_of(answer) {
            None => self.ping(access.repository).await?,
            challenge => challenge,
        };
        let Some(challenge) = challenge else { return Ok(None) };
        match self.authenticate(access, challenge).await {
            Err(error) if !is_asked_for => {
                tracing::debug!("going on without a login: {error}");
                Ok(None)
            }
            authorization => authorization.map(Some),
        }
    }

    /// Asks the registry for its challenge, which some give only here.
    async fn ping(&self, repository: &Repository) -> Result<Option<(Challenge, Url)>, RegistryError> {
        let url = repository.api("")?;
        match self.http.send(self.request(Method::GET, &url, None)?).await {
            Ok(answer) => Ok(challenge_of(&answer)),
            Err(error) => {
                tracing::debug!("{}: {error}", shown(&url));
                Ok(None)
            }
        }
    }

    /// Whether a login is known and was used for this URL.
    pub(super) async fn is_logged_in(&self, repository: &Repository, url: &Url) -> bool {
        is_same_origin(repository, url)
            && self.session(repository).await.lock().await.authorization.is_some()
            && self.keychain.find(repository).await.is_some()
    }

    async fn session(&self, repository: &Repository) -> Arc<Mutex<Session>> {
        Arc::clone(self.sessions.lock().await.entry(repository.to_string()).or_default())
    }
}

/// Registries hide from strangers what exists, or what only they may not do.
fn may_want_login(status: StatusCode, has_one: bool) -> bool {
    match status {
        StatusCode::UNAUTHORIZED => true,
        StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => !has_one,
        _ => false,
    }
}

fn is_same_origin(repository: &Repository, url: &Url) -> bool {
    repository.url("").is_ok_and(|own| own.origin() == url.origin())
}
