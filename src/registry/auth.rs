//! Who we are, for a registry: Docker's credentials, and tokens that are made of them.

use docker_credential::{CredentialRetrievalError, DockerCredential};
use reqwest::header::HeaderValue;
use serde::Deserialize;
use url::Url;

use super::repository::is_loopback;
use super::{RegistryError, Repository};

/// Largest answer of a token service, bytes.
const MAX_TOKEN: u64 = 65_536;

/// What a `WWW-Authenticate` header asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    /// Name and password with each request.
    Basic,
    /// A token from the service at `realm`.
    Bearer { realm: String, service: Option<String>, scope: Option<String> },
}

impl Challenge {
    /// Parses a header's value; the first scheme that is known counts (RFC 9110, section 11.6.1).
    pub(super) fn parse(header: &str) -> Option<Self> {
        let (scheme, rest) = header.trim().split_once(' ').unwrap_or((header.trim(), ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let mut parameters = parameters(rest);
        let mut take = |name: &str| {
            let at = parameters.iter().position(|(key, _)| key.eq_ignore_ascii_case(name))?;
            Some(parameters.swap_remove(at).1)
        };
        Some(Self::Bearer { realm: take("realm")?, service: take("service"), scope: take("scope") })
    }
}

/// `name="value", name=value` pairs; a quoted value may hold commas.
fn parameters(mut text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    while let Some((name, rest)) = text.split_once('=') {
        let name = name.trim_matches([' ', ',']).to_owned();
        let (value, rest) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => rest.split_once(',').unwrap_or((rest, "")),
        };
        found.push((name, value.to_owned()));
        text = rest;
    }
    found
}

/// The credentials for a registry from Docker's configuration, if it has any.
pub(super) fn credentials(host: &str) -> Result<Option<DockerCredential>, RegistryError> {
    match docker_credential::get_credential(host) {
        Ok(credential) => Ok(Some(credential)),
        Err(
            CredentialRetrievalError::NoCredentialConfigured
            | CredentialRetrievalError::ConfigNotFound
            | CredentialRetrievalError::ConfigReadError,
        ) => Ok(None),
        Err(source) => Err(RegistryError::Credentials { host: host.to_owned(), source }),
    }
}

/// Answers a challenge with the value of an `Authorization` header.
pub(super) async fn answer(
    http: &reqwest::Client,
    repository: &Repository,
    challenge: &Challenge,
) -> Result<HeaderValue, RegistryError> {
    let credentials = credentials(repository.host())?;
    let text = match (challenge, credentials) {
        (Challenge::Basic, Some(DockerCredential::UsernamePassword(user, password))) => {
            use base64::Engine as _;
            format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}")))
        }
        (Challenge::Basic, _) => {
            return Err(RegistryError::Denied { repository: repository.to_string(), status: 401 });
        }
        (Challenge::Bearer { realm, service, scope }, credentials) => {
            let scope = scope.clone().unwrap_or_else(|| format!("repository:{}:pull,push", repository.path()));
            let request = token_request(http, repository, realm, service.as_deref(), &scope, credentials)?;
            format!("Bearer {}", token(request, repository).await?)
        }
    };
    let mut value = HeaderValue::from_str(&text).map_err(|_| RegistryError::Challenge {
        host: repository.host().to_owned(),
        reason: "the token is not a header's value".to_owned(),
    })?;
    value.set_sensitive(true);
    Ok(value)
}

fn token_request(
    http: &reqwest::Client,
    repository: &Repository,
    realm: &str,
    service: Option<&str>,
    scope: &str,
    credentials: Option<DockerCredential>,
) -> Result<reqwest::RequestBuilder, RegistryError> {
    let challenge = |reason: &str| RegistryError::Challenge {
        host: repository.host().to_owned(),
        reason: format!("{reason}: {realm:?}"),
    };
    let mut url = Url::parse(realm).map_err(|_| challenge("the token service is not a URL"))?;
    // A registry must not be able to have the password sent in the clear.
    if url.scheme() != "https" && !(url.scheme() == "http" && url.host_str().is_some_and(is_loopback)) {
        return Err(challenge("the token service is not reached by https"));
    }
    let mut fields: Vec<(&str, &str)> = vec![("scope", scope)];
    fields.extend(service.map(|service| ("service", service)));
    Ok(match credentials {
        Some(DockerCredential::IdentityToken(token)) => {
            fields.extend([
                ("grant_type", "refresh_token"),
                ("client_id", "mailimg"),
                ("refresh_token", token.as_str()),
            ]);
            let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
            http.post(url).header("content-type", "application/x-www-form-urlencoded").body(body)
        }
        other => {
            url.query_pairs_mut().extend_pairs(fields);
            let request = http.get(url);
            match other {
                Some(DockerCredential::UsernamePassword(user, password)) => request.basic_auth(user, Some(password)),
                _ => request,
            }
        }
    })
}

async fn token(request: reqwest::RequestBuilder, repository: &Repository) -> Result<String, RegistryError> {
    #[derive(Deserialize)]
    struct Answer {
        token: Option<String>,
        access_token: Option<String>,
    }
    let challenge =
        |reason: &str| RegistryError::Challenge { host: repository.host().to_owned(), reason: reason.to_owned() };
    let response = request.send().await.map_err(|source| RegistryError::Unreachable {
        url: format!("the token service of {}", repository.host()),
        source: source.without_url(),
    })?;
    let status = response.status();
    if !status.is_success() {
        return Err(RegistryError::Denied { repository: repository.to_string(), status: status.as_u16() });
    }
    let body = super::client::body(response, MAX_TOKEN).await?;
    let answer: Answer =
        serde_json::from_slice(&body).map_err(|_| challenge("the token service's answer is not JSON"))?;
    answer.token.or(answer.access_token).ok_or_else(|| challenge("the token service gave no token"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_bearer_challenge() {
        let header =
            r#"Bearer realm="https://auth.example.org/token",service="r.example.org",scope="repository:a:pull,push""#;
        assert_eq!(
            Challenge::parse(header),
            Some(Challenge::Bearer {
                realm: "https://auth.example.org/token".to_owned(),
                service: Some("r.example.org".to_owned()),
                scope: Some("repository:a:pull,push".to_owned()),
            })
        );
    }

    #[test]
    fn reads_a_basic_challenge_and_no_other() {
        assert_eq!(Challenge::parse("basic realm=\"x\""), Some(Challenge::Basic));
        assert_eq!(Challenge::parse("Negotiate"), None);
        assert_eq!(Challenge::parse("Bearer service=\"x\""), None);
    }

    proptest::proptest! {
        #[test]
        fn survives_any_header(header in ".{0,200}") {
            Challenge::parse(&header);
        }
    }
}
