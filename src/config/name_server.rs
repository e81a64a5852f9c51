//! Name servers to ask.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::values::{ValueError, written_as_string};

/// A name server: `192.0.2.53` or `2001:db8::53`, or with a port, `192.0.2.53:5353` or `[2001:db8::53]:5353`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NameServer {
    address: IpAddr,
    port: Option<u16>,
}

impl FromStr for NameServer {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        if let Ok(address) = text.parse() {
            return Ok(Self { address, port: None });
        }
        text.parse::<SocketAddr>()
            .ok()
            // An interface (`%2`) has another number in the container.
            .filter(|socket| socket.port() != 0 && !text.contains('%'))
            .map(|socket| Self { address: socket.ip(), port: Some(socket.port()) })
            .ok_or_else(|| ValueError {
                found: text.to_owned(),
                wanted: "a name server: an IP address, or one with a port, such as \"192.0.2.53:5353\" or \
                         \"[2001:db8::53]:5353\"",
            })
    }
}

/// As templates see it: in the form that Unbound reads, `192.0.2.53` or `192.0.2.53@5353`.
impl fmt::Display for NameServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(f, "{}@{port}", self.address),
            None => write!(f, "{}", self.address),
        }
    }
}

written_as_string!(NameServer, "^([0-9.]+(:[1-9][0-9]*)?|[0-9A-Fa-f.:]+|\\[[0-9A-Fa-f.:]+\\]:[1-9][0-9]*)$");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unbound_reads_what_templates_see() {
        for (text, seen) in [
            ("192.0.2.53", "192.0.2.53"),
            ("2001:db8::53", "2001:db8::53"),
            ("192.0.2.53:5353", "192.0.2.53@5353"),
            ("[2001:DB8::53]:53", "2001:db8::53@53"),
        ] {
            assert_eq!(String::from(text.parse::<NameServer>().unwrap()), seen);
        }
        for wrong in [
            "",
            "192.0.2",
            "192.0.2.53:",
            "192.0.2.53:0",
            "192.0.2.53:65536",
            "192.0.2.53@53",
            "[2001:db8::53]",
            "a:53",
        ] {
            let error = wrong.parse::<NameServer>().unwrap_err().to_string();
            assert!(error.contains("is not a name server: an IP address"), "{error}");
        }
        assert!("[fe80::1%2]:53".parse::<NameServer>().is_err());
    }
}
