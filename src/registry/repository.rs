use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use url::Url;

use super::RegistryError;

/// A repository in a registry, `host[:port]/path`, without tag or digest.
///
/// Unlike in Docker's notation, the host is never left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    host: String,
    path: String,
}

impl Repository {
    /// The repository of an image below a prefix, `host[:port]/path`.
    pub fn of_image(prefix: &str, image: &str) -> Result<Self, RegistryError> {
        format!("{}/{image}", prefix.trim_end_matches('/')).parse()
    }

    /// `host[:port]`.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Everything after the host.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The URL of `rest` below this repository's part of the API.
    pub(super) fn url(&self, rest: &str) -> Result<Url, RegistryError> {
        let scheme = if is_loopback(&self.host) { "http" } else { "https" };
        Url::parse(&format!("{scheme}://{}/v2/{}/{rest}", self.host, self.path))
            .map_err(|_| RegistryError::Name { name: self.to_string() })
    }
}

/// Whether this is the machine itself, which, as Docker has it, may be spoken to without TLS.
pub(super) fn is_loopback(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.path)
    }
}

impl FromStr for Repository {
    type Err = RegistryError;

    fn from_str(name: &str) -> Result<Self, RegistryError> {
        let error = || RegistryError::Name { name: name.to_owned() };
        let (host, path) = name.split_once('/').ok_or_else(error)?;
        if !is_host(host) || !is_path(path) {
            return Err(error());
        }
        Ok(Self { host: host.to_owned(), path: path.to_owned() })
    }
}

/// A registry's host has a dot or a port, or is `localhost`: else it would be a path on Docker Hub.
fn is_host(host: &str) -> bool {
    let plausible = host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-:[]".contains(&b));
    plausible && (host == "localhost" || host.contains(['.', ':']))
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
        assert_eq!(url("localhost.example.org/postfix"), "https://localhost.example.org/v2/postfix/blobs/x");
    }

    #[test]
    fn refuses_other_names() {
        let long = format!("r.example.org/{}", "a".repeat(256));
        for name in
            ["", "postfix", "mail/postfix", "r.example.org/", "r.example.org/Mail", "r.example.org/a//b", "r/../b"]
                .into_iter()
                .chain(["r.example.org/a..b", "r.example.org/-a", "r.example.org/a:tag", "u@r.example.org/a", &long])
        {
            assert!(name.parse::<Repository>().is_err(), "{name}");
        }
    }
}
