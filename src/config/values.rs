//! Small typed values, parsed when the file is read, so that errors can point at them.

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use super::hide_credentials;
use crate::path::TreePath;

/// A text that is not valid for its place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not {wanted}")]
pub struct ValueError {
    pub found: String,
    pub wanted: &'static str,
}

impl ValueError {
    fn new(found: impl Into<String>, wanted: &'static str) -> Self {
        Self { found: hide_credentials(&found.into()), wanted }
    }
}

/// Implements what all values written as strings share.
///
/// The pattern is for editors; `FromStr` decides.
macro_rules! written_as_string {
    ($name:ident, $pattern:literal) => {
        #[cfg(test)]
        impl schemars::JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "pattern": $pattern })
            }
        }

        impl TryFrom<String> for $name {
            type Error = ValueError;

            fn try_from(text: String) -> Result<Self, ValueError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.to_string()
            }
        }
    };
}

pub(super) use written_as_string;

/// Implements what all values that are one text share.
macro_rules! plain_text {
    ($name:ident) => {
        impl $name {
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

/// Permission bits, including setuid, setgid and sticky, written as an octal string, `"2755"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mode(u32);

impl Mode {
    /// The bits, at most 0o7777.
    #[must_use]
    pub fn bits(self) -> u32 {
        self.0
    }
}

written_as_string!(Mode, "^[0-7]{3,4}$");

impl FromStr for Mode {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let octal = (3..=4).contains(&text.len()) && text.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
        octal
            .then(|| u32::from_str_radix(text, 8).ok())
            .flatten()
            .map(Self)
            .ok_or_else(|| ValueError::new(text, "a file mode: three or four octal digits, such as \"0755\""))
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

/// An absolute path in an image, without `.`, `..`, empty components or a trailing slash.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AbsolutePath {
    text: Utf8PathBuf,
    path: TreePath,
}

impl AbsolutePath {
    /// The path from the root of the image.
    #[must_use]
    pub fn tree_path(&self) -> &TreePath {
        &self.path
    }
}

written_as_string!(AbsolutePath, "^(/[^/]+)+$");

impl FromStr for AbsolutePath {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        text.strip_prefix('/')
            .filter(|path| !path.ends_with('/'))
            .and_then(|path| TreePath::new(path).ok())
            .map(|path| Self { text: text.into(), path })
            .ok_or_else(|| ValueError::new(text, "a plain absolute path, such as \"/var/spool/postfix\""))
    }
}

impl fmt::Display for AbsolutePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text.as_str())
    }
}

impl Deref for AbsolutePath {
    type Target = Utf8Path;

    fn deref(&self) -> &Utf8Path {
        &self.text
    }
}

impl AsRef<Utf8Path> for AbsolutePath {
    fn as_ref(&self) -> &Utf8Path {
        &self.text
    }
}

/// A fully qualified host or domain name in lower case, `mail.example.org`; international names in Punycode.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DomainName(String);

written_as_string!(DomainName, "^([a-z0-9]([a-z0-9-]*[a-z0-9])?\\.)+[a-z0-9]([a-z0-9-]*[a-z0-9])?$");
plain_text!(DomainName);

impl FromStr for DomainName {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let numeric_end = text.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
        if is_host_name(text) && text.contains('.') && !numeric_end {
            Ok(Self(text.to_owned()))
        } else {
            Err(ValueError::new(
                text,
                "a full domain name: lower-case letters, digits, hyphens and dots, such as \"mail.example.org\" \
                 (international names in their xn-- form)",
            ))
        }
    }
}

/// Labels of letters, digits and hyphens, with dots between (RFC 1123, section 2.1).
pub(super) fn is_host_name(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

/// A mail address, `name@example.org`, in lower case. A subset of RFC 5321 without quoting: letters, digits and `.`,
/// `-`, `_` in the local part. `+` is not allowed, because delivery uses it to separate a tag.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address {
    local: String,
    domain: DomainName,
}

impl Address {
    /// The part before the `@`.
    #[must_use]
    pub fn local(&self) -> &str {
        &self.local
    }

    /// The part after the `@`.
    #[must_use]
    pub fn domain(&self) -> &DomainName {
        &self.domain
    }
}

written_as_string!(Address, "^[A-Za-z0-9._-]+@[A-Za-z0-9.-]+\\.[A-Za-z0-9-]+$");

impl FromStr for Address {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let lower = text.to_ascii_lowercase();
        lower
            .split_once('@')
            .filter(|(local, _)| is_local_part(local))
            .and_then(|(local, domain)| Some(Self { local: local.to_owned(), domain: domain.parse().ok()? }))
            .ok_or_else(|| {
                ValueError::new(
                    text,
                    "a mail address, such as \"name@example.org\" (before the @: letters, digits, \"-\", \"_\" and \
                     single dots, at most 64)",
                )
            })
    }
}

fn is_local_part(text: &str) -> bool {
    let inner = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.');
    (1..=64).contains(&text.len())
        && text.bytes().all(inner)
        && !text.starts_with(['.', '-'])
        && !text.ends_with('.')
        && !text.contains("..")
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.local, self.domain)
    }
}

/// A short name for use in file names, images and compose keys: `postfix`, `mail-data`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

impl Name {
    /// A name from a constant.
    pub(super) fn fixed(name: &'static str) -> Self {
        debug_assert!(name.parse::<Self>().is_ok());
        Self(name.to_owned())
    }
}

written_as_string!(Name, "^[a-z0-9_][a-z0-9._-]*$");
plain_text!(Name);

impl FromStr for Name {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let inner = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.');
        let starts = text.bytes().next().is_some_and(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'));
        if starts && text.len() <= 64 && text.bytes().all(inner) && !text.contains("..") {
            Ok(Self(text.to_owned()))
        } else {
            Err(ValueError::new(text, "a name: lower-case letters, digits, \"-\", \"_\" and \".\", at most 64"))
        }
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// Consistent with `str`: derived `Hash`, `Eq` and `Ord` of a single string field are the string's.
impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// The name of a site on its engine: `example-org`. Compose allows no other characters in a project's name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SiteName(String);

written_as_string!(SiteName, "^[a-z0-9][a-z0-9_-]*$");
plain_text!(SiteName);

impl FromStr for SiteName {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let inner = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
        if (1..=64).contains(&text.len()) && text.bytes().all(inner) && !text.starts_with(['-', '_']) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ValueError::new(
                text,
                "the name of a site: lower-case letters, digits, \"-\" and \"_\", at most 64, such as \"example-org\"",
            ))
        }
    }
}

/// The number of a port, as a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Port(u16);

impl Port {
    #[must_use]
    pub fn number(self) -> u16 {
        self.0
    }
}

written_as_string!(Port, "^[1-9][0-9]{0,4}$");

impl FromStr for Port {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
        let number = if plain { text.parse().ok() } else { None };
        number.map(Self).ok_or_else(|| ValueError::new(text, "a port: a number from 1 to 65535"))
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A text that is one word in any configuration file: printable, without spaces, quotes or `#`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Word(String);

written_as_string!(Word, "^[^\\s\"'#\\\\`]+$");
plain_text!(Word);

impl FromStr for Word {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'#' | b'\\' | b'`');
        if !text.is_empty() && text.bytes().all(plain) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ValueError::new(text, "one word, without spaces, quotes, backslashes or \"#\""))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_octal_strings() {
        assert_eq!("2755".parse::<Mode>().unwrap().bits(), 0o2755);
        assert_eq!("644".parse::<Mode>().unwrap().to_string(), "0644");
        for wrong in ["", "8", "0o755", "07777777", "0855", "-755", "+755"] {
            assert!(wrong.parse::<Mode>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn paths_are_absolute_and_plain() {
        for right in ["/a", "/etc/postfix/main.cf"] {
            assert!(right.parse::<AbsolutePath>().is_ok(), "{right}");
        }
        for wrong in ["", "/", "a", "/a/", "//a", "/a//b", "/a/../b", "/./a", "/a/.", "/a\nb", "/a\0"] {
            assert!(wrong.parse::<AbsolutePath>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn domain_names_are_lower_case_ascii_with_a_dot() {
        for right in ["a.b", "mail.example.org", "xn--bcher-kva.example", "1.example"] {
            assert!(right.parse::<DomainName>().is_ok(), "{right}");
        }
        for wrong in ["", "localhost", "a..b", ".a.b", "a.b.", "-a.b", "a-.b", "A.b", "ä.b", "a_b.c", "127.0.0.1"] {
            assert!(wrong.parse::<DomainName>().is_err(), "{wrong:?}");
        }
        assert!(format!("{}.b", "a".repeat(64)).parse::<DomainName>().is_err());
    }

    #[test]
    fn addresses_are_plain_and_lower_case() {
        assert_eq!("Alice.B@Example.org".parse::<Address>().unwrap().to_string(), "alice.b@example.org");
        for wrong in ["", "a", "@b.c", "a@b", "a@", "a b@c.d", "a@b.c@d.e", "a..b@c.d", ".a@b.c", "a.@b.c", "-a@b.c"] {
            assert!(wrong.parse::<Address>().is_err(), "{wrong:?}");
        }
        for wrong in ["\u{e5}lice@b.c", "a+b@c.d", "a'b@c.d", "\"a\"@b.c", "a@b.c\n", "a/b@c.d", "a%b@c.d"] {
            assert!(wrong.parse::<Address>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn names_can_be_file_names() {
        for right in ["postfix", "mail-data", "_apt", "database-ca.pem"] {
            assert!(right.parse::<Name>().is_ok(), "{right}");
        }
        for wrong in ["", ".a", "-a", "a/b", "A", "a..b", "a b"] {
            assert!(wrong.parse::<Name>().is_err(), "{wrong:?}");
        }
    }
}
