//! Which proxy a request goes through, by the environment, as in curl and Go.

use std::net::IpAddr;

use ipnet::IpNet;
use url::{Host, Url};

use super::is_loopback;

/// The proxies in `HTTP_PROXY`, `HTTPS_PROXY` and `ALL_PROXY`, and the servers in `NO_PROXY` that are asked directly.
#[derive(Debug, Default)]
pub(super) struct Proxies {
    http: Option<Url>,
    https: Option<Url>,
    direct: Vec<Direct>,
}

/// An entry of `NO_PROXY`.
#[derive(Debug)]
struct Direct {
    hosts: Hosts,
    /// None for all.
    port: Option<u16>,
}

#[derive(Debug)]
enum Hosts {
    All,
    Network(IpNet),
    /// A domain with its subdomains.
    Domain(String),
}

impl Proxies {
    pub(super) fn from_environment() -> Self {
        Self::new(|name| std::env::var(name).ok())
    }

    fn new(variable: impl Fn(&str) -> Option<String>) -> Self {
        // To a CGI program, HTTP_PROXY is a header of the request.
        if variable("REQUEST_METHOD").is_some() {
            return Self::default();
        }
        let either = |name: &str| variable(name).or_else(|| variable(&name.to_ascii_lowercase())).unwrap_or_default();
        let proxy = |name| address(&either(name)).or_else(|| address(&either("ALL_PROXY")));
        let direct = either("NO_PROXY");
        let direct = direct.split(|c: char| c == ',' || c.is_whitespace()).filter(|entry| !entry.is_empty());
        Self { http: proxy("HTTP_PROXY"), https: proxy("HTTPS_PROXY"), direct: direct.map(Direct::parse).collect() }
    }

    /// The proxy to use; none for the machine itself.
    pub(super) fn for_url(&self, url: &Url) -> Option<Url> {
        let proxy = if url.scheme() == "https" { &self.https } else { &self.http };
        let is_direct = || is_loopback(url) || self.direct.iter().any(|direct| direct.covers(url));
        proxy.clone().filter(|_| !is_direct())
    }
}

/// A proxy's URL, whose scheme may be missing.
fn address(text: &str) -> Option<Url> {
    let text = text.trim();
    let url = if text.contains("://") { Url::parse(text) } else { Url::parse(&format!("http://{text}")) };
    url.ok().filter(Url::has_host)
}

impl Direct {
    /// Reads `*`, `10.0.0.0/8`, `10.0.0.1`, `::1`, `[::1]`, `example.org`, `.example.org` or `*.example.org`, perhaps
    /// with a port.
    fn parse(entry: &str) -> Self {
        let with_port = || {
            let (hosts, port) = entry.rsplit_once(':')?;
            Some(Self { hosts: Hosts::parse(hosts), port: Some(port.parse().ok()?) })
        };
        let network = network(entry).map(|network| Self { hosts: Hosts::Network(network), port: None });
        network.or_else(with_port).unwrap_or_else(|| Self { hosts: Hosts::parse(entry), port: None })
    }

    fn covers(&self, url: &Url) -> bool {
        let is_host = url.host().is_some_and(|host| self.hosts.contain(&host));
        is_host && self.port.is_none_or(|port| url.port_or_known_default() == Some(port))
    }
}

impl Hosts {
    fn parse(text: &str) -> Self {
        let text = text.trim_matches(['[', ']']);
        if text == "*" {
            return Self::All;
        }
        let domain = || text.trim_start_matches('*').trim_matches('.').to_ascii_lowercase();
        network(text).map_or_else(|| Self::Domain(domain()), Self::Network)
    }

    fn contain(&self, host: &Host<&str>) -> bool {
        match (self, host) {
            (Self::All, _) => true,
            (Self::Network(network), Host::Ipv4(address)) => network.contains(&IpAddr::V4(*address)),
            (Self::Network(network), Host::Ipv6(address)) => network.contains(&IpAddr::V6(*address)),
            (Self::Domain(domain), Host::Domain(name)) => {
                let before = name.trim_end_matches('.').strip_suffix(domain.as_str());
                before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
            }
            _ => false,
        }
    }
}

fn network(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse().ok().map(|address: IpAddr| address.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(variables: &[(&str, &str)]) -> Proxies {
        let value = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        Proxies::new(|name| value(name).map(str::to_owned))
    }

    fn proxy(variables: &[(&str, &str)], url: &str) -> Option<String> {
        proxies(variables).for_url(&url.parse().unwrap()).map(|proxy| proxy.to_string())
    }

    #[test]
    fn each_scheme_has_its_proxy() {
        for (variables, http, https) in [
            (&[][..], None, None),
            (&[("HTTP_PROXY", "http://a:1")], Some("http://a:1/"), None),
            (&[("https_proxy", "a:1")], None, Some("http://a:1/")),
            (&[("ALL_PROXY", "http://a"), ("https_proxy", "https://b")], Some("http://a/"), Some("https://b/")),
            (&[("http_proxy", "http://u:p%40@a:1/")], Some("http://u:p%40@a:1/"), None),
            (&[("http_proxy", ""), ("HTTPS_PROXY", "::::")], None, None),
            (&[("HTTP_PROXY", "http://a:1"), ("REQUEST_METHOD", "GET")], None, None),
        ] {
            assert_eq!(proxy(variables, "http://example.org/").as_deref(), http, "{variables:?}");
            assert_eq!(proxy(variables, "https://example.org/").as_deref(), https, "{variables:?}");
        }
        assert_eq!(proxy(&[("ALL_PROXY", "a")], "http://127.0.0.1:80/"), None);
    }

    #[test]
    fn exceptions_are_asked_directly() {
        for (exceptions, direct, proxied) in [
            ("*", &["http://a/", "https://10.0.0.1/", "http://[fd00::1]/"][..], &[][..]),
            ("*:81", &["http://a:81/"], &["http://a/"]),
            (
                "Example.org",
                &["http://example.org/", "https://a.b.EXAMPLE.org:81/", "http://example.org./"],
                &["http://notexample.org/", "http://example.org.evil/", "http://org/"],
            ),
            (".example.org", &["http://example.org/", "http://a.example.org/"], &["http://aexample.org/"]),
            ("*.example.org", &["http://a.example.org/"], &["http://aexample.org/"]),
            (
                "example.org:8080",
                &["http://example.org:8080/", "http://a.example.org:8080/"],
                &["http://example.org/", "http://example.org:80/", "http://a:8080/"],
            ),
            ("example.org:443", &["https://example.org/"], &["http://example.org/"]),
            ("10.0.0.0/8", &["http://10.1.2.3:81/"], &["http://11.0.0.1/", "http://10.example/"]),
            ("10.0.0.1:81", &["http://10.0.0.1:81/"], &["http://10.0.0.1/", "http://10.0.0.2:81/"]),
            ("fd00::1", &["http://[fd00::1]:81/"], &["http://[fd00::2]/"]),
            ("[fd00::1]", &["http://[fd00::1]/"], &[]),
            ("[fd00::1]:81", &["http://[fd00::1]:81/"], &["http://[fd00::1]/"]),
            ("fd00::/16", &["http://[fd00::1]/"], &["http://[fe00::1]/"]),
            (" a ,, b:81\tc", &["http://a/", "http://b:81/", "http://c/"], &["http://b/"]),
            ("", &[], &["http://a/"]),
        ] {
            let variables = [("ALL_PROXY", "p"), ("no_proxy", exceptions)];
            for url in direct {
                assert_eq!(proxy(&variables, url), None, "{exceptions} {url}");
            }
            for url in proxied {
                assert!(proxy(&variables, url).is_some(), "{exceptions} {url}");
            }
        }
    }
}
