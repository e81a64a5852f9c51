use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sha1::Digest as _;

use super::excerpt;

/// The SHA-1 of a package's compressed control member, by which apk identifies the package.
///
/// Written as `Q1` and 28 characters of base64; `X1` and 40 hexadecimal digits can be read too.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Checksum([u8; 20]);

/// The text is not a checksum in apk's notation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not a checksum: expected Q1 followed by 28 characters of base64")]
pub struct ChecksumError {
    pub found: String,
}

impl Checksum {
    /// The checksum of `bytes`.
    #[must_use]
    pub fn of(bytes: impl AsRef<[u8]>) -> Self {
        Self(sha1::Sha1::digest(bytes).into())
    }

    /// The SHA-1's own 20 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }
}

impl From<[u8; 20]> for Checksum {
    fn from(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Q1{}", STANDARD.encode(self.0))
    }
}

impl fmt::Debug for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Checksum({self})")
    }
}

impl FromStr for Checksum {
    type Err = ChecksumError;

    fn from_str(text: &str) -> Result<Self, ChecksumError> {
        let mut bytes = [0; 20];
        let complete = match text.split_at_checked(2) {
            Some(("Q1", base64)) => STANDARD.decode_slice(base64, &mut bytes) == Ok(20),
            Some(("X1", digits)) => hex::decode_to_slice(digits, &mut bytes).is_ok(),
            _ => false,
        };
        if complete { Ok(Self(bytes)) } else { Err(ChecksumError { found: excerpt(text) }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_what_it_shows() {
        let checksum = Checksum::of("abc");
        assert_eq!(checksum.to_string(), "Q1qZk+NkcGgWq6PiVxeFDCbJzQ2J0=");
        assert_eq!(checksum.to_string().parse(), Ok(checksum));
        assert_eq!("X1a9993e364706816aba3e25717850c26c9cd0d89d".parse(), Ok(checksum));
    }

    #[test]
    fn refuses_other_lengths_and_kinds() {
        for text in ["", "Q", "Q1", "Q1qZk=", "Q2qZk+NkcGgWq6PiVxeFDCbJzQ2J0=", "Q1qZk+NkcGgWq6PiVxeFDCbJzQ2J0", "é"] {
            assert!(text.parse::<Checksum>().is_err(), "{text}");
        }
    }
}
