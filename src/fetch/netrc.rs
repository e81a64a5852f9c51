use std::path::PathBuf;

use super::credentials::{Login, Secret};

/// The file `.netrc`, as curl and Python read it.
#[derive(Debug, Default)]
pub(super) struct Netrc {
    entries: Vec<Entry>,
}

#[derive(Debug, Default)]
struct Entry {
    /// None for `default`, which covers all other hosts.
    machine: Option<Vec<u8>>,
    user: Option<Vec<u8>>,
    password: Secret,
}

impl Netrc {
    /// Reads the file in `NETRC`, or `~/.netrc`. A missing file has no entries.
    pub(super) fn from_environment() -> Self {
        let named = std::env::var_os("NETRC").filter(|path| !path.is_empty()).map(PathBuf::from);
        let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".netrc"));
        let Some(path) = named.or_else(home) else { return Self::default() };
        match std::fs::read(&path) {
            Ok(bytes) => Self::parse(&bytes),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Self::default(),
            Err(error) => {
                tracing::warn!("ignoring {}: {error}", path.display());
                Self::default()
            }
        }
    }

    /// Unknown words are skipped.
    pub(super) fn parse(file: &[u8]) -> Self {
        let mut entries: Vec<Entry> = Vec::new();
        let mut words = Words { rest: file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file) };
        while let Some(word) = words.keyword() {
            match (&*word, entries.last_mut()) {
                (b"machine", _) => entries.push(Entry { machine: words.value(), ..Entry::default() }),
                (b"default", _) => entries.push(Entry::default()),
                (b"macdef", _) => words.skip_macro(),
                (b"login", Some(entry)) => entry.user = words.value(),
                (b"password", Some(entry)) => entry.password = Secret(words.value().unwrap_or_default()),
                (b"login" | b"password" | b"account", _) => drop(words.value()),
                _ => {}
            }
        }
        Self { entries }
    }

    /// The first entry of a host.
    pub(super) fn of_host(&self, host: &str) -> Option<Login> {
        self.find(|machine| machine.is_some_and(|machine| machine.eq_ignore_ascii_case(host.as_bytes())))
    }

    /// The entry for all other hosts.
    pub(super) fn default_login(&self) -> Option<Login> {
        self.find(|machine| machine.is_none())
    }

    /// An entry without a user says nothing about HTTP.
    fn find(&self, is_meant: impl Fn(Option<&[u8]>) -> bool) -> Option<Login> {
        let mut meant = self.entries.iter().filter(|entry| is_meant(entry.machine.as_deref()));
        meant.find_map(|entry| Some(Login { user: entry.user.clone()?, password: entry.password.clone() }))
    }
}

/// Splits at white space. A word in double quotes may contain spaces and, after a backslash, quotes.
struct Words<'a> {
    rest: &'a [u8],
}

impl Words<'_> {
    /// The next word outside of comments, which start with `#`.
    fn keyword(&mut self) -> Option<Vec<u8>> {
        loop {
            self.rest = self.rest.trim_ascii_start();
            if !self.rest.starts_with(b"#") {
                return self.value();
            }
            self.line();
        }
    }

    /// The next word, which may start with `#`, as passwords do.
    fn value(&mut self) -> Option<Vec<u8>> {
        self.rest = self.rest.trim_ascii_start();
        if self.rest.first()? == &b'"' {
            return Some(self.quoted());
        }
        let end = self.rest.iter().position(u8::is_ascii_whitespace).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        Some(word.to_owned())
    }

    fn quoted(&mut self) -> Vec<u8> {
        let mut word = Vec::new();
        let mut bytes = self.rest.iter().enumerate().skip(1);
        while let Some((at, byte)) = bytes.next() {
            match byte {
                b'"' => {
                    self.rest = self.rest.get(at + 1..).unwrap_or_default();
                    return word;
                }
                b'\\' => word.extend(bytes.next().map(|(_, byte)| byte)),
                _ => word.push(*byte),
            }
        }
        self.rest = b"";
        word
    }

    /// The rest of the line.
    fn line(&mut self) -> &[u8] {
        let end = self.rest.iter().position(|byte| *byte == b'\n').map_or(self.rest.len(), |end| end + 1);
        let (line, rest) = self.rest.split_at(end);
        self.rest = rest;
        line
    }

    /// A macro ends with an empty line.
    fn skip_macro(&mut self) {
        self.line();
        while !self.line().trim_ascii().is_empty() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(file: impl AsRef<[u8]>, host: &str) -> Option<(Vec<u8>, Vec<u8>)> {
        Netrc::parse(file.as_ref()).of_host(host).map(|login| (login.user, login.password.0))
    }

    #[test]
    fn reads_every_way_of_writing_it() {
        for text in [
            "machine a.example login bob password secret",
            "machine a.example\n\tlogin bob\n\tpassword secret\n",
            "# mine\nmachine b.example login x password y\n\nmachine A.example\r\nlogin bob\r\npassword secret\r\n",
            "macdef init\nmachine a.example login no password no\n\nmachine a.example password secret login bob \
             account x",
            "macdef init\r\nmachine a.example login no\r\n\r\nmachine a.example login bob password secret\r\n",
            "machine \"a.example\" login \"bob\" password \"secret\"",
            "default login x password y\nmachine a.example login bob password secret\nmachine a.example login other",
            "machine a.example\nmachine a.example password no\nmachine a.example login bob password secret",
            "\u{feff}machine a.example login bob password secret",
            "machine b.example login x account #1 password y machine a.example login bob password secret # c",
        ] {
            assert_eq!(login(text, "a.example"), Some((b"bob".to_vec(), b"secret".to_vec())), "{text}");
            assert_eq!(login(text, "c.example"), None);
        }
    }

    #[test]
    fn passwords_contain_anything() {
        for (file, password) in [
            (&br#"machine a login bob password "a \"b\" c\\""#[..], &br#"a "b" c\"#[..]),
            (b"machine a login bob password #1", b"#1"),
            (b"machine a login bob password \xe4\xa0 # \xe4", b"\xe4\xa0"),
            (b"machine a login bob", b""),
        ] {
            assert_eq!(login(file, "a").unwrap().1, password);
        }
    }

    #[test]
    fn without_a_user_nothing_is_sent() {
        for text in
            ["machine a", "machine a password x", "machine a login", "password x machine a", "default password x"]
        {
            let netrc = Netrc::parse(text.as_bytes());
            assert!(netrc.of_host("a").is_none() && netrc.default_login().is_none(), "{text}");
        }
    }

    #[test]
    fn survives_what_is_not_one() {
        for text in ["", "machine", "login x", "machine a login", "machine a password \"open", "default", "\u{0}\"\\"] {
            Netrc::parse(text.as_bytes());
        }
    }
}
