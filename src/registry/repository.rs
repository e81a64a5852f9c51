use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use url::Url;

use super::RegistryError;
use crate::http::is_loopback;

/// Docker Hub's names, and the host that answers for them.
const DOCKER_HUB: [&str; 3] = ["docker.io", "index.docker.io", "registry-1.docker.io"];
const DOCKER_HUB_API: &str = "registry-1.docker.io";

/// A repository in a registry, `host[:port]/path`, without tag or digest.
///
/// Unlike in Docker's notation, the host is never left out.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Repository {
    name: String,
    host: String,
    path: String,
    plain_http: bool,
}

/// Where a project's images go: `host[:port]/path`, to which an image's name is added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefix {
    text: String,
    plain_http: bool,
}

impl Prefix {
    /// `plain_http` says that this registry speaks HTTP without TLS.
    pub fn new(text: &str, plain_http: bool) -> Result<Self, RegistryError> {
        let prefix = Self { text: text.strip_suffix('/').unwrap_or(text).to_owned(), plain_http };
        match prefix.repository("image") {
            Ok(_) => Ok(prefix),
            Err(_) => Err(RegistryError::name(text)),
        }
    }

    pub fn repository(&self, image: &str) -> Result<Repository, RegistryError> {
        let repository: Repository = format!("{}/{image}", self.text).parse()?;
        Ok(Repository { plain_http: self.plain_http, ..repository })
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Repository {
    /// `host[:port]`, as it was written.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The repository's name within its registry.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether requests go without TLS: because the user said so, or because, as with Docker, it is this machine.
    #[must_use]
    pub fn is_plain_http(&self) -> bool {
        let is_loopback = Url::parse(&format!("http://{}/", self.host)).is_ok_and(|url| is_loopback(&url));
        self.plain_http || is_loopback
    }

    /// Whether the user said so.
    pub(super) fn is_declared_plain_http(&self) -> bool {
        self.plain_http
    }

    pub(super) fn is_on_docker_hub(&self) -> bool {
        is_docker_hub(&self.host)
    }

    /// The URL of `rest` in this repository's part of the API.
    pub(super) fn url(&self, rest: &str) -> Result<Url, RegistryError> {
        self.api(&format!("{}/{rest}", self.path))
    }

    /// The URL of `rest` in the registry's API.
    pub(super) fn api(&self, rest: &str) -> Result<Url, RegistryError> {
        let scheme = if self.is_plain_http() { "http" } else { "https" };
        let host = if self.is_on_docker_hub() { DOCKER_HUB_API } else { &self.host };
        Url::parse(&format!("{scheme}://{host}/v2/{rest}")).map_err(|_| RegistryError::name(&self.name))
    }
}

/// Whether this is one of Docker Hub's names.
pub(super) fn is_docker_hub(host: &str) -> bool {
    DOCKER_HUB.contains(&host)
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl FromStr for Repository {
    type Err = RegistryError;

    fn from_str(name: &str) -> Result<Self, RegistryError> {
        let error = || RegistryError::name(name);
        let (host, path) = name.split_once('/').ok_or_else(error)?;
        if !is_host(host) || !is_path(path) {
            return Err(error());
        }
        // Docker Hub keeps its own images there.
        let is_official = is_docker_hub(host) && !path.contains('/');
        let path = if is_official { format!("library/{path}") } else { path.to_owned() };
        Ok(Self { name: name.to_owned(), host: host.to_owned(), path, plain_http: false })
    }
}

/// A registry's host has a dot or a port, or is `localhost`: otherwise it would be a path on Docker Hub.
fn is_host(authority: &str) -> bool {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_name = host.split('.').all(|label| {
        let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
        let bytes = label.as_bytes();
        edge(bytes.first()) && edge(bytes.last()) && bytes.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-')
    });
    let is_port = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|number| number > 0 && !port.starts_with('+')));
    let is_explicit = host == "localhost" || host.contains('.') || port.is_some() || address.is_some();
    is_explicit && is_port && address.map_or(is_name, |address| address.parse::<Ipv6Addr>().is_ok())
}

/// `<name>` of the distribution-spec: `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/…)*`.
fn is_path(path: &str) -> bool {
    path.len() <= 255
        && path.split('/').all(|part| {
            let edge = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
            let bytes = part.as_bytes();
            edge(bytes.first())
                && edge(bytes.last())
                && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(b))
                && ["..", "._", "_.", "-.", ".-", "___", "_-", "-_"].iter().all(|bad| !part.contains(bad))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(name: &str) -> String {
        name.parse::<Repository>().unwrap().url("blobs/x").unwrap().to_string()
    }

    #[test]
    fn speaks_tls_to_all_but_this_machine() {
        assert_eq!(url("registry.example.org/mail/postfix"), "https://registry.example.org/v2/mail/postfix/blobs/x");
        assert_eq!(url("127.0.0.1:5000/postfix"), "http://127.0.0.1:5000/v2/postfix/blobs/x");
        assert_eq!(url("[::1]:5000/postfix"), "http://[::1]:5000/v2/postfix/blobs/x");
        assert_eq!(url("localhost/postfix"), "http://localhost/v2/postfix/blobs/x");
        assert_eq!(url("localhost.example.org/postfix"), "https://localhost.example.org/v2/postfix/blobs/x");
    }

    #[test]
    fn speaks_plain_http_where_it_is_told_to() {
        let url = |prefix: &str| {
            let repository = Prefix::new(prefix, true).unwrap().repository("web").unwrap();
            repository.url("blobs/x").unwrap().to_string()
        };
        assert_eq!(url("registry:5000/mail/"), "http://registry:5000/v2/mail/web/blobs/x");
        assert_eq!(url("registry.example.org"), "http://registry.example.org/v2/web/blobs/x");
    }

    #[test]
    fn docker_hub_answers_elsewhere() {
        for host in DOCKER_HUB {
            assert_eq!(url(&format!("{host}/somebody/web")), "https://registry-1.docker.io/v2/somebody/web/blobs/x");
            assert_eq!(url(&format!("{host}/web")), "https://registry-1.docker.io/v2/library/web/blobs/x");
        }
        assert_eq!("docker.io/web".parse::<Repository>().unwrap().to_string(), "docker.io/web", "as it was written");
        assert_eq!(url("docker.io:443/web"), "https://docker.io/v2/web/blobs/x", "another registry");
    }

    #[test]
    fn shows_no_password_in_a_name_that_it_refuses() {
        for (name, shown) in [
            ("https://bob:secret@r.example.org/mail", "https://**********@r.example.org/mail"),
            ("bob:secret@r.example.org:5000/mail", "**********@r.example.org:5000/mail"),
            ("bob:se/cret@r.example.org/mail", "***********@r.example.org/mail"),
            ("r.example.org/mail@sha256:0", "r.example.org/mail@sha256:0"),
        ] {
            for error in [name.parse::<Repository>().unwrap_err(), Prefix::new(name, false).unwrap_err()] {
                assert!(error.to_string().starts_with(&format!("\"{shown}\" is not")), "{error}");
            }
        }
    }

    #[test]
    fn refuses_other_names() {
        let long = format!("r.example.org/{}", "a".repeat(256));
        for name in
            ["", "postfix", "mail/postfix", "r.example.org/", "r.example.org/Mail", "r.example.org/a//b", "r/../b"]
                .into_iter()
                .chain(["r.example.org/a..b", "r.example.org/-a", "r.example.org/a:tag", "u@r.example.org/a", &long])
                .chain(["r.example.org/a?b", "r.example.org/a#b", "r.example.org/../a", "https://r.example.org/a"])
                .chain([
                    "r.example.org:/a",
                    "r.example.org:70000/a",
                    "r.example.org:5:5/a",
                    "r..example.org/a",
                    "[::1/a",
                ])
        {
            assert!(name.parse::<Repository>().is_err(), "{name}");
            assert!(name.is_empty() || Prefix::new(&format!("{name}/"), false).is_err() || name == "r.example.org/");
        }
        for prefix in ["", "/", "r.example.org//", "r.example.org/a//", "mail"] {
            assert!(Prefix::new(prefix, false).is_err(), "{prefix}");
        }
    }
}
