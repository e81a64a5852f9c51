//! Which servers may be asked at all: nobody elsewhere may lead a request to this machine, whatever names its servers
//! have.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// The names of servers as requests have met them, shared with the resolver.
#[derive(Debug, Clone, Default)]
pub(super) struct Hosts {
    seen: Arc<Mutex<Seen>>,
}

#[derive(Debug, Default)]
struct Seen {
    /// Names that resolved to this machine when nobody had led to them.
    inside: BTreeSet<String>,
    /// Names that a server elsewhere led to. They must not resolve to this machine.
    led: BTreeSet<String>,
}

impl Hosts {
    /// Whether the server at `from` may lead to `to`. No server elsewhere leads to this machine, or to what only this
    /// machine and its neighbours reach, such as a cloud's metadata at a link-local address. If `to` has a name, the answer
    /// is final only when the name is looked up: that fails if it shouldn't have been led to.
    pub(super) fn may_lead(&self, from: &Url, to: &Url) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if is_inside(from) || name(from).is_some_and(|name| seen.inside.contains(&name)) {
            return true;
        }
        if is_inside(to) {
            return false;
        }
        if let Some(name) = name(to).filter(|name| from.host() != to.host() && !seen.inside.contains(name)) {
            seen.led.insert(name);
        }
        true
    }

    /// Takes the addresses of a name, unless they are this machine's and a server elsewhere has led there.
    fn check(&self, name: &str, addresses: &[SocketAddr]) -> io::Result<()> {
        if !addresses.iter().any(|address| is_inside_address(address.ip())) {
            return Ok(());
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.led.contains(&plain(name)) {
            return Err(io::Error::other(format!("a server leads to {name}, which is this machine")));
        }
        seen.inside.insert(plain(name));
        Ok(())
    }
}

impl Resolve for Hosts {
    fn resolve(&self, name: Name) -> Resolving {
        let hosts = self.clone();
        Box::pin(async move {
            let addresses: Vec<_> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            hosts.check(name.as_str(), &addresses)?;
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

fn name(url: &Url) -> Option<String> {
    match url.host() {
        Some(Host::Domain(name)) => Some(plain(name)),
        _ => None,
    }
}

/// A name as it is compared.
fn plain(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

fn is_inside(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => {
            let name = plain(name);
            name == "localhost" || name.ends_with(".localhost")
        }
        Some(Host::Ipv4(address)) => is_inside_address(address.into()),
        Some(Host::Ipv6(address)) => is_inside_address(address.into()),
        None => false,
    }
}

fn is_inside_address(address: IpAddr) -> bool {
    let is_inside_4 = |address: Ipv4Addr| address.is_loopback() || address.is_link_local() || address.is_unspecified();
    match address.to_canonical() {
        IpAddr::V4(address) => is_inside_4(address),
        IpAddr::V6(address) => address.is_loopback() || address.is_unicast_link_local() || address.is_unspecified(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_resolver_refuses_names_that_were_led_to() {
        let hosts = Hosts::default();
        let resolve = async || hosts.resolve("localhost".parse().unwrap()).await.map(Iterator::count);
        assert!(resolve().await.unwrap() > 0);
        hosts.seen.lock().unwrap().led.insert("localhost".to_owned());
        let error = resolve().await.unwrap_err();
        assert_eq!(error.to_string(), "a server leads to localhost, which is this machine");
    }

    fn may(hosts: &Hosts, from: &str, to: &str) -> bool {
        hosts.may_lead(&from.parse().unwrap(), &to.parse().unwrap())
    }

    #[test]
    fn servers_elsewhere_do_not_lead_to_this_machine() {
        let hosts = Hosts::default();
        for inside in [
            "http://127.0.0.1:8080/x",
            "https://localhost/x",
            "http://a.localhost./x",
            "http://0.0.0.0/x",
            "http://169.254.169.254/latest/meta-data",
            "http://[::1]/x",
            "http://[fe80::1]/x",
            "http://[::ffff:127.0.0.1]/x",
            "http://2130706433/x",
        ] {
            assert!(!may(&hosts, "https://registry.example/v2/", inside), "{inside}");
            assert!(!may(&hosts, "http://10.0.0.1:5000/v2/", inside), "{inside}");
            assert!(may(&hosts, "http://127.0.0.1:5000/v2/", inside), "{inside}");
        }
        for outside in
            ["https://storage.example/x", "http://10.0.0.2/x", "http://[fd00::2]/x", "https://localhost.example/x"]
        {
            assert!(may(&hosts, "https://registry.example/v2/", outside), "{outside}");
        }
    }

    #[test]
    fn nor_do_they_by_a_name() {
        let hosts = Hosts::default();
        let looked_up = |name, address: &str| hosts.check(name, &[format!("{address}:443").parse().unwrap()]).is_ok();
        assert!(may(&hosts, "https://registry.example/v2/", "https://Storage.example/x"));
        assert!(looked_up("storage.example", "192.0.2.1"));
        for inside in ["127.0.0.1", "169.254.169.254", "[::1]", "[::ffff:127.0.0.1]", "[fe80::1]"] {
            assert!(!looked_up("storage.example.", inside), "{inside}");
        }
        // A registry on this machine may have a name, and its token service another.
        assert!(looked_up("registry.lan", "127.0.0.1"));
        assert!(may(&hosts, "http://registry.lan:5000/v2/", "http://auth.lan/token"));
        assert!(looked_up("auth.lan", "127.0.0.1"));
        assert!(may(&hosts, "https://registry.example/v2/", "https://auth.lan/token"));
        assert!(looked_up("auth.lan", "127.0.0.1"));
        // A server leads to itself under its own name.
        assert!(may(&hosts, "https://local.example/a", "https://local.example:444/b"));
        assert!(looked_up("local.example", "127.0.0.1"));
    }
}
