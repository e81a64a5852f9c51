//! Authentication challenges of registries, and tokens.
//!
//! Source: the Docker registry's token authentication and its OAuth 2 variant (distribution's documentation).

use base64::Engine as _;
use serde::Deserialize;
use url::{Url, form_urlencoded};

use super::client::{Client, message, unreachable};
use super::keychain::Credential;
use super::{RegistryError, Repository};
use crate::http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use crate::http::{self, Answer, Failed, HttpError, Method, RequestBuilder, StatusCode, is_loopback, shown};

/// The access to a repository.
#[derive(Debug, Clone, Copy)]
pub(super) struct Access<'a> {
    pub(super) repository: &'a Repository,
    pub(super) push: bool,
    /// Repositories of the same registry to mount blobs from.
    pub(super) from: &'a [Repository],
}

/// The challenge in a `WWW-Authenticate` header.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    /// Name and password with each request.
    Basic,
    /// A token from the service at `realm`.
    Bearer { realm: String, service: Option<String>, scope: Option<String> },
}

/// Parses a header's value, which may contain several challenges (RFC 9110, section 11.6.1).
fn challenges(header: &str) -> Vec<Challenge> {
    let mut schemes: Vec<(&str, Vec<(&str, String)>)> = Vec::new();
    let mut rest = header.trim();
    loop {
        rest = rest.trim_start_matches([' ', ',', '\t']);
        let end = rest.find([' ', ',', '=', '\t']).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        if word.is_empty() {
            // The end, or a `=` without a name: nothing useful follows.
            break;
        }
        if let Some(value) = after.trim_start().strip_prefix('=') {
            let (value, after) = parameter_value(value.trim_start());
            if let Some((_, parameters)) = schemes.last_mut() {
                parameters.push((word, value));
            }
            rest = after;
        } else {
            schemes.push((word, Vec::new()));
            rest = after;
        }
    }
    schemes.into_iter().filter_map(|(scheme, parameters)| challenge(scheme, parameters)).collect()
}

/// Quoted values may contain commas, and quotes after backslashes.
fn parameter_value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, rest) = text.split_at(text.find([',', ' ']).unwrap_or(text.len()));
        return (value.to_owned(), rest);
    };
    let (mut value, mut chars) = (String::new(), quoted.chars());
    while let Some(char) = chars.next() {
        match char {
            '"' => break,
            '\\' => value.extend(chars.next()),
            _ => value.push(char),
        }
    }
    (value, chars.as_str())
}

fn challenge(scheme: &str, mut parameters: Vec<(&str, String)>) -> Option<Challenge> {
    let mut take = |name: &str| {
        let at = parameters.iter().position(|(key, _)| key.eq_ignore_ascii_case(name))?;
        Some(parameters.swap_remove(at).1)
    };
    if scheme.eq_ignore_ascii_case("basic") {
        Some(Challenge::Basic)
    } else if scheme.eq_ignore_ascii_case("bearer") {
        Some(Challenge::Bearer { realm: take("realm")?, service: take("service"), scope: take("scope") })
    } else {
        None
    }
}

/// The challenge in an answer that can be met best, and the URL that its own is relative to.
pub(super) fn challenge_of(answer: &Answer) -> Option<(Challenge, Url)> {
    let headers = answer.headers().get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
    let best = headers.flat_map(challenges).min_by_key(|challenge| *challenge == Challenge::Basic)?;
    Some((best, answer.url().clone()))
}

impl Access<'_> {
    /// The scope to request from the token service: the registry's, extended to all that will be needed in this
    /// repository.
    fn scopes(&self, named: Option<&str>) -> Vec<String> {
        let own = format!("repository:{}:", self.repository.path());
        let named: Vec<&str> = named.unwrap_or_default().split_whitespace().collect();
        let is_own = |scope: &&&str| scope.starts_with(&own);
        let mut scopes: Vec<String> = named.iter().filter(|scope| !is_own(scope)).map(ToString::to_string).collect();
        if named.is_empty() || named.iter().any(|scope| is_own(&scope)) {
            scopes.insert(0, format!("{own}{}", if self.push { "pull,push" } else { "pull" }));
        }
        let from = self.from.iter().map(|from| format!("repository:{}:pull", from.path()));
        for scope in from.filter(|_| self.push) {
            if !scopes.contains(&scope) {
                scopes.push(scope);
            }
        }
        scopes
    }
}

impl Client {
    /// Answers a registry's challenge with the value of an `Authorization` header.
    pub(super) async fn authenticate(
        &self,
        access: Access<'_>,
        (challenge, base): (Challenge, Url),
    ) -> Result<HeaderValue, RegistryError> {
        let repository = access.repository;
        let text = match (challenge, self.keychain.find(repository).await) {
            (_, Some(Credential::RegistryToken(token))) => format!("Bearer {token}"),
            (Challenge::Basic, Some(Credential::Login { user, password })) => basic(&user, &password),
            (Challenge::Basic, _) => return Err(denied(repository, StatusCode::UNAUTHORIZED, false, "")),
            (Challenge::Bearer { realm, service, scope }, credential) => {
                let realm = realm_url(&self.http, repository, &base, &realm)?;
                let scopes = access.scopes(scope.as_deref());
                let service = TokenService { repository, realm, service, credential };
                let token = match self.token(&service, &scopes).await {
                    // Perhaps because of the other repositories.
                    Err(RegistryError::Denied { .. }) if !access.from.is_empty() => {
                        let scopes = Access { from: &[], ..access }.scopes(scope.as_deref());
                        self.token(&service, &scopes).await?
                    }
                    token => token?,
                };
                format!("Bearer {token}")
            }
        };
        sensitive(&text).ok_or_else(|| challenge_error(repository, "the token can't be sent in a header"))
    }

    async fn token(&self, service: &TokenService<'_>, scopes: &[String]) -> Result<String, RegistryError> {
        self.http.attempts(async |_| self.token_once(service, scopes).await).await
    }

    async fn token_once(&self, service: &TokenService<'_>, scopes: &[String]) -> Result<String, Failed<RegistryError>> {
        let unreachable = unreachable(&service.realm);
        let request = match &service.credential {
            Some(Credential::IdentityToken(_)) => service.by_post(&self.http, scopes),
            _ => service.by_get(&self.http, scopes),
        };
        let request = request.map_err(&unreachable)?;
        let mut answer = self.http.send(request).await.map_err(|error| Failed::of(error, &unreachable))?;
        if matches!(answer.status(), StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_FOUND) {
            let request = service.by_post(&self.http, scopes).map_err(&unreachable)?;
            answer = self.http.send(request).await.map_err(|error| Failed::of(error, &unreachable))?;
        }
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = answer.bytes().await.map_err(|error| Failed::of(error, &unreachable))?;
        if !status.is_success() {
            let said = message(&body);
            let error = denied(service.repository, status, service.credential.is_some(), &said);
            return Err(Failed::of_status(status, &headers, error));
        }
        Ok(token_of(&body).map_err(|reason| challenge_error(service.repository, reason))?)
    }
}

/// The token service and its credentials.
struct TokenService<'a> {
    repository: &'a Repository,
    realm: Url,
    service: Option<String>,
    credential: Option<Credential>,
}

impl TokenService<'_> {
    fn fields<'f>(&'f self, scopes: impl Iterator<Item = &'f str>) -> Vec<(&'f str, &'f str)> {
        let service = self.service.iter().map(|service| ("service", service.as_str()));
        service.chain(scopes.map(|scope| ("scope", scope))).collect()
    }

    fn by_get(&self, http: &http::Client, scopes: &[String]) -> Result<RequestBuilder, HttpError> {
        let mut url = self.realm.clone();
        url.query_pairs_mut().extend_pairs(self.fields(scopes.iter().map(String::as_str)));
        let request = http.request(Method::GET, &url)?;
        Ok(match &self.credential {
            Some(Credential::Login { user, password }) => request
                .headers(sensitive(&basic(user, password)).map(|value| (AUTHORIZATION, value)).into_iter().collect()),
            _ => request,
        })
    }

    fn by_post(&self, http: &http::Client, scopes: &[String]) -> Result<RequestBuilder, HttpError> {
        let scopes = scopes.join(" ");
        let mut fields = self.fields([scopes.as_str()].into_iter());
        fields.push(("client_id", "mailimg"));
        match &self.credential {
            Some(Credential::IdentityToken(token)) => {
                fields.extend([("grant_type", "refresh_token"), ("refresh_token", token)]);
            }
            Some(Credential::Login { user, .. }) => {
                fields.extend([("grant_type", "password"), ("username", user)]);
            }
            _ => {}
        }
        let mut body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        if let Some(Credential::Login { password, .. }) = &self.credential {
            body.push_str("&password=");
            body.extend(form_urlencoded::byte_serialize(password));
        }
        let request = http.request(Method::POST, &self.realm)?;
        Ok(request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body))
    }
}

/// A header's value that is not logged.
fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn basic(user: &str, password: &[u8]) -> String {
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode([user.as_bytes(), b":", password].concat()))
}

/// The token service. A registry must not be able to make us send the password unencrypted, unless it is accessed
/// without TLS anyway.
fn realm_url(http: &http::Client, repository: &Repository, base: &Url, realm: &str) -> Result<Url, RegistryError> {
    let url = base.join(realm).map_err(|_| challenge_error(repository, "its token service is not a URL"))?;
    if !http.may_lead(base, &url) {
        return Err(challenge_error(repository, &format!("its token service {} is this machine", shown(&url))));
    }
    let is_safe = url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url));
    if is_safe || (url.scheme() == "http" && repository.is_declared_plain_http()) {
        Ok(url)
    } else {
        Err(challenge_error(repository, &format!("its token service {} doesn't use https", shown(&url))))
    }
}

fn token_of(body: &[u8]) -> Result<String, &'static str> {
    #[derive(Deserialize)]
    struct Answer {
        token: Option<String>,
        access_token: Option<String>,
    }
    let answer: Answer = serde_json::from_slice(body).map_err(|_| "its token service doesn't answer with JSON")?;
    let tokens = [answer.token, answer.access_token].into_iter().flatten();
    tokens.into_iter().find(|token| !token.is_empty()).ok_or("its token service gave no token")
}

fn challenge_error(repository: &Repository, reason: &str) -> RegistryError {
    RegistryError::Challenge { host: repository.host().to_owned(), reason: reason.to_owned() }
}

pub(super) fn denied(repository: &Repository, status: StatusCode, is_known: bool, said: &str) -> RegistryError {
    RegistryError::Denied {
        repository: repository.to_string(),
        status: status.as_u16(),
        logged_in: is_known,
        said: said.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, scope: Option<&str>) -> Challenge {
        let service = Some("r.example.org".to_owned());
        Challenge::Bearer { realm: realm.to_owned(), service, scope: scope.map(str::to_owned) }
    }

    #[test]
    fn reads_challenges() {
        let realm = "https://auth.example.org/token?a=b,c";
        let expected = bearer(realm, Some("repository:a:pull,push repository:b:pull"));
        let header = format!(
            r#"Bearer realm="{realm}",service="r.example.org", scope="repository:a:pull,push repository:b:pull""#
        );
        assert_eq!(challenges(&header), [expected]);
        let both = format!(r#"Basic realm="a \"b\", c", bearer service=r.example.org, realm="{realm}""#);
        assert_eq!(challenges(&both), [Challenge::Basic, bearer(realm, None)]);
        assert_eq!(challenges("basic"), [Challenge::Basic]);
        assert_eq!(challenges("Negotiate, Basic realm=x"), [Challenge::Basic]);
        assert_eq!(challenges(r#"Bearer service="x""#), []);
        assert_eq!(challenges(""), []);
    }

    proptest::proptest! {
        #[test]
        fn survives_any_header(header in ".{0,200}") {
            challenges(&header);
        }
    }

    #[test]
    fn asks_for_all_it_will_need() {
        let names = ["r.example.org/mail/a", "r.example.org/mail/b"];
        let [repository, other] = names.map(|name| name.parse::<Repository>().unwrap());
        let from = [other];
        let push = Access { repository: &repository, push: true, from: &from };
        let own = ["repository:mail/a:pull,push", "repository:mail/b:pull"];
        assert_eq!(push.scopes(Some("repository:mail/a:pull")), own);
        assert_eq!(push.scopes(None), own);
        assert_eq!(push.scopes(Some("repository:mail/a:pull,push repository:mail/b:pull")), own);
        assert_eq!(push.scopes(Some("aws")), ["aws", "repository:mail/b:pull"], "as the registry calls it");
        let pull = Access { push: false, ..push };
        assert_eq!(pull.scopes(Some("repository:mail/a:pull")), ["repository:mail/a:pull"]);
    }

    #[test]
    fn takes_the_token_by_either_name() {
        for body in [r#"{"token":"t"}"#, r#"{"access_token":"t","expires_in":3}"#, r#"{"token":"","access_token":"t"}"#]
        {
            assert_eq!(token_of(body.as_bytes()), Ok("t".to_owned()));
        }
        assert!(token_of(b"{}").is_err() && token_of(b"<html>").is_err());
    }

    #[test]
    fn a_password_goes_to_no_other_place_in_the_clear() {
        let realm = |name: &str, plain: bool, realm: &str| {
            let prefix = super::super::Prefix::new(name, plain).unwrap();
            let repository = prefix.repository("web").unwrap();
            realm_url(&http::Client::default(), &repository, &repository.url("blobs/x").unwrap(), realm)
                .map(|url| url.to_string())
                .ok()
        };
        assert_eq!(realm("r.example.org/a", false, "http://auth.example.org/"), None);
        assert_eq!(realm("127.0.0.1:5000/a", false, "http://auth.example.org/"), None);
        assert!(realm("r.example.org/a", true, "http://auth.example.org/").is_some());
        assert!(realm("r.example.org/a", false, "https://auth.example.org/").is_some());
        assert_eq!(realm("127.0.0.1:5000/a", false, "/token").as_deref(), Some("http://127.0.0.1:5000/token"));
        assert_eq!(realm("r.example.org/a", false, "ftp://r.example.org/"), None);
    }
}
