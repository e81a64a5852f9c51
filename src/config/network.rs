//! Networks of clients.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::values::{ValueError, written_as_string};

/// A network in CIDR notation, `192.0.2.0/24` or `2001:db8::/32`, but never all addresses at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network {
    first: IpAddr,
    prefix: u32,
}

impl FromStr for Network {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let wrong = |wanted| ValueError { found: text.to_owned(), wanted };
        let form = || wrong("a network: its first address, a slash and a number of bits, such as \"192.0.2.0/24\"");
        let (first, prefix) = text.split_once('/').ok_or_else(form)?;
        let first: IpAddr = first.parse().map_err(|_| form())?;
        let prefix = Some(prefix).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
        let prefix: u32 = prefix.and_then(|digits| digits.parse().ok()).ok_or_else(form)?;
        // The address, with all of its bits at the left.
        let (bits, size) = match first {
            IpAddr::V4(address) => (u128::from(address.to_bits()) << 96, u32::BITS),
            IpAddr::V6(address) => (address.to_bits(), u128::BITS),
        };
        if prefix == 0 {
            return Err(wrong("a part of the Internet, but all of it"));
        }
        // Postfix refuses an address inside of the network.
        if prefix > size || bits.checked_shl(prefix).is_some_and(|rest| rest != 0) {
            return Err(form());
        }
        Ok(Self { first, prefix })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.prefix)
    }
}

written_as_string!(Network, "^[0-9a-f.:]+/[1-9][0-9]*$");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_begin_at_their_first_address() {
        for text in ["192.0.2.0/24", "10.0.0.0/8", "128.0.0.0/1", "192.0.2.1/32", "2001:db8::/32", "::1/128"] {
            assert_eq!(text.parse::<Network>().unwrap().to_string(), text);
        }
        for wrong in ["", "192.0.2.0", "192.0.2.1/24", "192.0.2.0/33", "2001:db8::1/32", "::/129", "a/8", "1.2.3.4/+32"]
        {
            let error = wrong.parse::<Network>().unwrap_err().to_string();
            assert!(error.contains("is not a network: its first address"), "{error}");
        }
        for all in ["0.0.0.0/0", "::/0", "192.0.2.0/0", "::/00"] {
            let error = all.parse::<Network>().unwrap_err().to_string();
            assert!(error.contains("is not a part of the Internet"), "{error}");
        }
    }
}
