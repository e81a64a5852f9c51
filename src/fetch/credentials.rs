//! Credentials for package repositories, from the same sources as in apk, apko and curl:
//! `HTTP_AUTH=basic:HOST:USER:PASSWORD` and netrc.
//!
//! apk compares the second field of `HTTP_AUTH` with the server's realm, apko with its host; `*` matches any server.
//! Credentials for a host are sent with the first request, others when the server asks for them.

use std::collections::HashMap;
use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::sync::{Mutex, OnceLock, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::Url;

use super::netrc::Netrc;
use crate::http::header::HeaderValue;

/// A user and a password, which may be any bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) user: Vec<u8>,
    pub(super) password: Secret,
}

impl Login {
    /// The value of the header `Authorization`.
    pub(super) fn header(&self) -> Option<HeaderValue> {
        let words = STANDARD.encode([&self.user[..], b":", &self.password.0].concat());
        let mut value = HeaderValue::try_from(format!("Basic {words}")).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

/// Known credentials, and the servers that requested them. The environment is read on first use.
#[derive(Debug, Default)]
pub(super) struct Credentials {
    sources: OnceLock<Sources>,
    /// Servers that have asked, by scheme, host and port.
    asked: Mutex<HashMap<String, Login>>,
}

#[derive(Debug, Default)]
struct Sources {
    /// The value of `HTTP_AUTH` after `basic:`.
    http_auth: Option<Secret>,
    netrc: Netrc,
}

/// A secret, which is never shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Secret(pub(super) Vec<u8>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Credentials {
    /// What to send without a challenge.
    pub(super) fn for_url(&self, url: &Url) -> Option<Login> {
        let origin = url.origin().ascii_serialization();
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner).get(&origin).cloned();
        asked.or_else(|| self.sources_for(url)?.for_host(url))
    }

    /// The answer to a server's `WWW-Authenticate` headers.
    pub(super) fn for_challenge<'a>(&self, url: &Url, challenges: impl Iterator<Item = &'a str>) -> Option<Login> {
        let realms: Vec<&str> = challenges.filter_map(realm_of_basic).collect();
        let login = self.sources_for(url)?.for_any(&realms)?;
        let origin = url.origin().ascii_serialization();
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).insert(origin, login.clone());
        Some(login)
    }

    /// None for a URL with its own credentials.
    fn sources_for(&self, url: &Url) -> Option<&Sources> {
        let has_own = !url.username().is_empty() || url.password().is_some();
        (!has_own).then(|| self.sources.get_or_init(Sources::from_environment))
    }
}

impl Sources {
    fn from_environment() -> Self {
        let variable = std::env::var_os("HTTP_AUTH").filter(|value| !value.is_empty());
        let http_auth = variable.and_then(|value| {
            let rest = value.as_bytes().strip_prefix(b"basic:");
            if rest.is_none() {
                tracing::warn!("ignoring HTTP_AUTH: expected basic:HOST:USER:PASSWORD");
            }
            rest.map(|rest| Secret(rest.to_owned()))
        });
        Self { http_auth, netrc: Netrc::from_environment() }
    }

    fn for_host(&self, url: &Url) -> Option<Login> {
        let host = url.host_str()?;
        let with_port = url.port_or_known_default().map(|port| format!("{host}:{port}"));
        let from_variable = with_port.iter().map(String::as_str).chain([host]).find_map(|host| self.http_auth(host));
        from_variable.or_else(|| self.netrc.of_host(host))
    }

    fn for_any(&self, realms: &[&str]) -> Option<Login> {
        let from_variable = realms.iter().copied().chain(["*"]).find_map(|realm| self.http_auth(realm));
        from_variable.or_else(|| self.netrc.default_login())
    }

    /// The credentials in `HTTP_AUTH`, if they are for this host or realm.
    fn http_auth(&self, whom: &str) -> Option<Login> {
        let rest = self.http_auth.as_ref()?.0.strip_prefix(whom.as_bytes())?.strip_prefix(b":")?;
        let (user, password) = rest.split_at_checked(rest.iter().position(|byte| *byte == b':')?)?;
        Some(Login { user: user.to_owned(), password: Secret(password.get(1..)?.to_owned()) })
    }
}

/// The realm of a challenge for a user and a password.
fn realm_of_basic(challenge: &str) -> Option<&str> {
    let (scheme, rest) = challenge.trim().split_once(' ').unwrap_or((challenge.trim(), ""));
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    Some(rest.split_once("realm=\"").and_then(|(_, rest)| rest.split('"').next()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Credentials {
        pub(in crate::fetch) fn new(http_auth: &str, netrc: &str) -> Self {
            let http_auth = http_auth.strip_prefix("basic:").map(|rest| Secret(rest.into()));
            let sources = Sources { http_auth, netrc: Netrc::parse(netrc.as_bytes()) };
            Self { sources: OnceLock::from(sources), asked: Mutex::default() }
        }
    }

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    fn password(login: Option<Login>) -> Option<String> {
        login.map(|login| String::from_utf8(login.password.0).unwrap())
    }

    #[test]
    fn a_host_is_sent_its_credentials_at_once() {
        let of = |http_auth: &str, netrc: &str, place: &str| {
            password(Credentials::new(http_auth, netrc).for_url(&url(place)))
        };
        let here = "http://apk.example.org:8080/x";
        assert_eq!(of("basic:apk.example.org:bob:a:b", "", here).as_deref(), Some("a:b"));
        assert_eq!(of("basic:apk.example.org:8080:bob:a:b", "", here).as_deref(), Some("a:b"));
        assert_eq!(of("", "machine apk.example.org login bob password n", here).as_deref(), Some("n"));
        assert_eq!(
            of("basic:apk.example.org:bob:v", "machine apk.example.org login x password n", here).as_deref(),
            Some("v")
        );
        assert_eq!(of("basic:apk.example.org:bob", "", here), None);
        for elsewhere in ["https://example.org/", "https://apk.example.org.evil.example/", "https://x.apk.example.org/"]
        {
            assert_eq!(
                of("basic:apk.example.org:bob:v", "machine apk.example.org login x password n", elsewhere),
                None
            );
        }
        assert_eq!(of("basic:apk.example.org:bob:v", "", "https://own:pw@apk.example.org/"), None, "it has its own");
    }

    #[test]
    fn others_wait_to_be_asked_and_are_remembered() {
        for (http_auth, netrc) in [
            ("basic:*:bob:secret", ""),
            ("basic:Our packages:bob:secret", ""),
            ("", "default login bob password secret"),
        ] {
            let (credentials, place) = (Credentials::new(http_auth, netrc), url("https://apk.example.org/"));
            assert_eq!(credentials.for_url(&place), None);
            let login = credentials.for_challenge(&place, [r#"Basic realm="Our packages""#].into_iter());
            assert_eq!(password(login).as_deref(), Some("secret"), "{http_auth} {netrc}");
            assert_eq!(password(credentials.for_url(&place)).as_deref(), Some("secret"));
            assert_eq!(credentials.for_url(&url("https://other.example.org/")), None);
            assert_eq!(credentials.for_url(&url("http://apk.example.org/")), None, "nor in the clear");
        }
        let credentials = Credentials::new("basic:Our packages:bob:secret", "");
        let other = credentials.for_challenge(&url("https://a.example/"), [r#"Basic realm="Theirs""#].into_iter());
        assert_eq!(other, None);
    }

    #[test]
    fn shows_no_password() {
        let credentials = Credentials::new("basic:h:bob:secret", "machine m login bob password secret");
        let login = credentials.for_url(&url("https://h/")).unwrap();
        let shown = format!("{credentials:?} {login:?} {:?}", login.header());
        let secret = b"secret".map(|byte| byte.to_string()).join(", ");
        assert!(!shown.contains("secret") && !shown.contains(&secret) && !shown.contains("Basic"), "{shown}");
    }

    #[test]
    fn a_password_is_sent_as_it_is() {
        let header = |user: &[u8], password: &[u8]| {
            let login = Login { user: user.to_owned(), password: Secret(password.to_owned()) };
            login.header().unwrap().to_str().unwrap().to_owned()
        };
        assert_eq!(header(b"Aladdin", b"open sesame"), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "RFC 7617, section 2");
        assert_eq!(header(b"", b"\xe4"), "Basic OuQ=");
    }
}
