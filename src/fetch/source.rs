use std::fmt;

use camino::{Utf8Path, Utf8PathBuf};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

use crate::config::{has_credentials, hide_credentials};

/// Characters to escape in a part of a path: those that RFC 3986 (section 3.3) doesn't allow, and `+`, which object
/// storage treats as a space.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'@');

/// The root of a repository, which contains `<arch>/APKINDEX.tar.gz`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// `http://` or `https://`, without a slash at the end.
    Http(Url),
    /// A directory of this machine.
    Directory(Utf8PathBuf),
}

/// Where one file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// On a server.
    Url(Url),
    /// On this machine.
    File(Utf8PathBuf),
}

/// The text is not a location that packages can be read from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// It looks like a URL but isn't one.
    #[error("{text:?} is not a URL: {reason}")]
    Url {
        /// The text.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A URL with credentials, which would end up in locks, images and messages.
    #[error("{url} contains a user name or a password")]
    Credentials {
        /// The URL with stars instead.
        url: String,
    },
    /// An unsupported scheme.
    #[error("{scheme}:// is not supported ({text}): use an https:// or http:// URL, or a directory")]
    Scheme {
        /// The scheme.
        scheme: String,
        /// The text.
        text: String,
    },
}

impl Source {
    /// Parses `https://…`, `http://…`, `file:///…` or a directory relative to `base`.
    pub fn parse(text: &str, base: &Utf8Path) -> Result<Self, SourceError> {
        if has_credentials(text) {
            return Err(SourceError::Credentials { url: hide_credentials(text) });
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return Ok(Self::Directory(base.join(text)));
        };
        let shown = || hide_credentials(text);
        let url_error = |reason: &str| SourceError::Url { text: shown(), reason: reason.to_owned() };
        match scheme {
            "http" | "https" => {
                let url = Url::parse(text.trim_end_matches('/')).map_err(|error| url_error(&error.to_string()))?;
                if url.query().is_some() || url.fragment().is_some() {
                    return Err(url_error("a repository's URL can't contain '?' or '#'"));
                }
                Ok(Self::Http(url))
            }
            "file" if rest.starts_with('/') => Ok(Self::Directory(rest.into())),
            "file" => Err(url_error("a file:// URL needs an absolute path, such as file:///srv/packages")),
            _ => Err(SourceError::Scheme { scheme: scheme.to_owned(), text: shown() }),
        }
    }

    /// The location of the file `name` for packages of `arch`.
    #[must_use]
    pub fn file(&self, arch: &str, name: &str) -> Location {
        self.below(&[arch, name])
    }

    /// The location with this path, given by its components.
    #[must_use]
    pub fn below(&self, path: &[&str]) -> Location {
        match self {
            Self::Directory(directory) => {
                Location::File(path.iter().fold(directory.clone(), |path, part| path.join(part)))
            }
            Self::Http(url) => {
                let (mut url, mut whole) = (url.clone(), url.path().trim_end_matches('/').to_owned());
                for part in path {
                    whole.extend(["/"].into_iter().chain(utf8_percent_encode(part, ESCAPED)));
                }
                url.set_path(&whole);
                Location::Url(url)
            }
        }
    }
}

impl Location {
    /// The server that has it, if one does.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        match self {
            Self::Url(url) => url.host_str(),
            Self::File(_) => None,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(url) => f.write_str(url.as_str()),
            Self::Directory(path) => f.write_str(path.as_str()),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => f.write_str(url.as_str()),
            Self::File(path) => f.write_str(path.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Source, SourceError> {
        Source::parse(text, Utf8Path::new("/base"))
    }

    #[test]
    fn finds_files_below_urls_and_directories() {
        for (source, file) in [
            ("https://example.org/v3/main/", "https://example.org/v3/main/x86_64/a.apk"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080/x86_64/a.apk"),
            ("file:///srv/packages", "/srv/packages/x86_64/a.apk"),
            ("packages", "/base/packages/x86_64/a.apk"),
            ("/srv/packages", "/srv/packages/x86_64/a.apk"),
        ] {
            assert_eq!(parse(source).unwrap().file("x86_64", "a.apk").to_string(), file);
        }
    }

    #[test]
    fn a_name_stays_a_name() {
        let file = parse("https://example.org/r").unwrap().file("x86_64", "g++@-1.0~a?b#c%d e-r0.apk");
        assert_eq!(file.to_string(), "https://example.org/r/x86_64/g%2B%2B@-1.0~a%3Fb%23c%25d%20e-r0.apk");
    }

    #[test]
    fn refuses_what_it_cannot_read() {
        for (text, error) in [
            (
                "ftp://example.org/r",
                "ftp:// is not supported (ftp://example.org/r): use an https:// or http:// URL, or a directory",
            ),
            ("https://u:secret@example.org/r", "https://********@example.org/r contains a user name or a password"),
            ("ftp://u:secret@example.org/r", "ftp://********@example.org/r contains a user name or a password"),
            ("https://u:it's secret@h/r", "https://*************@h/r contains a user name or a password"),
            ("http:u:secret@h/r", "http:********@h/r contains a user name or a password"),
            ("https://", "\"https://\" is not a URL: empty host"),
            (
                "file://srv",
                "\"file://srv\" is not a URL: a file:// URL needs an absolute path, such as file:///srv/packages",
            ),
            (
                "https://example.org/r?x=1",
                "\"https://example.org/r?***\" is not a URL: a repository's URL can't contain '?' or '#'",
            ),
        ] {
            assert_eq!(parse(text).unwrap_err().to_string(), error);
        }
    }
}
