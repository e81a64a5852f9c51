//! The `.deb` from which an imported package was made, recorded as a package URL in its `url` field:
//! `pkg:deb/debian/postfix@3.10.5-1?arch=amd64&checksum=sha256:…&distro=trixie`.
//!
//! That field is also in the index, and apk shows it. Source: the purl specification.

use std::fmt::Write as _;

use super::Package;
use crate::digest::Sha256;

/// A `.deb`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DebSource {
    /// Debian's name of the package.
    pub name: String,
    pub version: String,
    /// Debian's name for the architecture: `amd64`, `all`.
    pub arch: String,
    /// The SHA-256 of the file, from Debian's signed lists.
    pub sha256: Sha256,
    /// Debian's name for the release: `trixie`.
    pub suite: String,
}

impl DebSource {
    /// What `package` was made from; `None` if it was not imported from Debian.
    #[must_use]
    pub fn of(package: &Package) -> Option<Self> {
        let rest = package.url.strip_prefix("pkg:deb/debian/")?;
        let (named, qualifiers) = rest.split_once('?')?;
        let (name, version) = named.split_once('@')?;
        let qualifier = |key: &str| {
            let mut pairs = qualifiers.split('&').filter_map(|pair| pair.split_once('='));
            pairs.find(|(name, _)| *name == key).map(|(_, value)| decode(value))
        };
        Some(Self {
            name: decode(name),
            version: decode(version),
            arch: qualifier("arch")?,
            sha256: qualifier("checksum")?.strip_prefix("sha256:")?.parse().ok()?,
            suite: qualifier("distro")?,
        })
    }

    /// As a package URL.
    #[must_use]
    pub fn to_url(&self) -> String {
        let Self { name, version, arch, sha256, suite } = self;
        let (name, version) = (encode(name), encode(version));
        format!("pkg:deb/debian/{name}@{version}?arch={arch}&checksum=sha256:{sha256}&distro={suite}")
    }
}

fn encode(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b".-_~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string doesn't fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

fn decode(text: &str) -> String {
    let mut pieces = text.split('%');
    let mut bytes = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        if let Some(byte) = piece.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            bytes.push(byte);
            bytes.extend(piece.bytes().skip(2));
        } else {
            bytes.push(b'%');
            bytes.extend(piece.bytes());
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_url_there_and_back() {
        let source = DebSource {
            name: "libstdc++6".into(),
            version: "1:2.4.1+dfsg1-6~deb13u1".into(),
            arch: "amd64".into(),
            sha256: Sha256::of("x"),
            suite: "trixie".into(),
        };
        let url = source.to_url();
        assert!(url.starts_with("pkg:deb/debian/libstdc%2B%2B6@1%3A2.4.1%2Bdfsg1-6~deb13u1?arch=amd64&"), "{url}");
        let mut package = Package::new("libstdc++6", "2.4.1-r1".parse().unwrap(), "x86_64");
        assert_eq!(DebSource::of(&package), None);
        package.url = url;
        assert_eq!(DebSource::of(&package), Some(source));
    }
}
