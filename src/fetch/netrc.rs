use std::path::PathBuf;

use super::credentials::Login;

/// The file `.netrc`, as curl and Python read it.
#[derive(Debug, Default)]
pub(super) struct Netrc {
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    /// None for `default`, which covers all other hosts.
    machine: Option<String>,
    login: Login,
}

impl Netrc {
    /// Reads the file in `NETRC`, or `~/.netrc`. A missing file has no entries.
    pub(super) fn from_environment() -> Self {
        let named = std::env::var_os("NETRC").filter(|path| !path.is_empty()).map(PathBuf::from);
        let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".netrc"));
        let Some(path) = named.or_else(home) else { return Self::default() };
        match std::fs::read(&path) {
            Ok(bytes) => Self::parse(&String::from_utf8_lossy(&bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Self::default(),
            Err(error) => {
                tracing::warn!("ignoring {}: {error}", path.display());
                Self::default()
            }
        }
    }

    /// Unknown words are skipped.
    pub(super) fn parse(text: &str) -> Self {
        let mut entries: Vec<Entry> = Vec::new();
        let mut words = Words { rest: text };
        let begin = |machine| Entry { machine, login: Login { user: String::new(), password: String::new() } };
        while let Some(word) = words.next() {
            match word.as_str() {
                "machine" => entries.push(begin(Some(words.next().unwrap_or_default()))),
                "default" => entries.push(begin(None)),
                "macdef" => words.skip_macro(),
                "login" => set(&mut entries, words.next(), |login| &mut login.user),
                "password" => set(&mut entries, words.next(), |login| &mut login.password),
                _ => {}
            }
        }
        Self { entries }
    }

    /// The first entry of a host.
    pub(super) fn of_host(&self, host: &str) -> Option<Login> {
        self.find(|machine| machine.is_some_and(|machine| machine.eq_ignore_ascii_case(host)))
    }

    /// The entry for all other hosts.
    pub(super) fn default_login(&self) -> Option<Login> {
        self.find(|machine| machine.is_none())
    }

    fn find(&self, is_meant: impl Fn(Option<&str>) -> bool) -> Option<Login> {
        let found = self.entries.iter().find(|entry| is_meant(entry.machine.as_deref()));
        found.map(|entry| entry.login.clone())
    }
}

fn set(entries: &mut [Entry], word: Option<String>, field: impl Fn(&mut Login) -> &mut String) {
    if let (Some(entry), Some(word)) = (entries.last_mut(), word) {
        *field(&mut entry.login) = word;
    }
}

/// Splits at white space. A word in double quotes may contain spaces and, after a backslash, quotes; a word that starts
/// with `#` starts a comment unless it is a value.
struct Words<'a> {
    rest: &'a str,
}

impl Words<'_> {
    fn next(&mut self) -> Option<String> {
        loop {
            self.rest = self.rest.trim_start();
            let first = self.rest.chars().next()?;
            if first == '#' {
                self.rest = self.rest.split_once('\n').map_or("", |(_, rest)| rest);
            } else if first == '"' {
                return Some(self.quoted());
            } else {
                let end = self.rest.find(char::is_whitespace).unwrap_or(self.rest.len());
                let (word, rest) = self.rest.split_at(end);
                self.rest = rest;
                return Some(word.to_owned());
            }
        }
    }

    fn quoted(&mut self) -> String {
        let mut word = String::new();
        let mut chars = self.rest.char_indices().skip(1);
        while let Some((at, char)) = chars.next() {
            match char {
                '"' => {
                    self.rest = self.rest.get(at + 1..).unwrap_or_default();
                    return word;
                }
                '\\' => word.extend(chars.next().map(|(_, char)| char)),
                _ => word.push(char),
            }
        }
        self.rest = "";
        word
    }

    /// A macro ends with an empty line.
    fn skip_macro(&mut self) {
        self.rest = self.rest.split_once("\n\n").map_or("", |(_, rest)| rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(text: &str, host: &str) -> Option<(String, String)> {
        let netrc = Netrc::parse(text);
        netrc.of_host(host).map(|login| (login.user, login.password))
    }

    #[test]
    fn reads_every_way_of_writing_it() {
        for text in [
            "machine a.example login bob password secret",
            "machine a.example\n\tlogin bob\n\tpassword secret\n",
            "# mine\nmachine b.example login x password y\n\nmachine A.example\r\nlogin bob\r\npassword secret\r\n",
            "macdef init\nmachine a.example login no password no\n\nmachine a.example password secret login bob \
             account x",
            "machine \"a.example\" login \"bob\" password \"secret\"",
            "default login x password y\nmachine a.example login bob password secret\nmachine a.example login other",
        ] {
            assert_eq!(login(text, "a.example"), Some(("bob".to_owned(), "secret".to_owned())), "{text}");
            assert_eq!(login(text, "c.example"), None);
        }
        let quoted = r#"machine a login bob password "a \"b\" c\\""#;
        assert_eq!(login(quoted, "a").unwrap().1, r#"a "b" c\"#);
    }

    #[test]
    fn survives_what_is_not_one() {
        for text in ["", "machine", "login x", "machine a login", "machine a password \"open", "default", "\u{0}\"\\"] {
            Netrc::parse(text);
        }
        assert_eq!(Netrc::parse("password x machine a").of_host("a").unwrap().password, "");
    }
}
