//! User names and passwords in URLs. They don't belong in committed files or in output.

use std::ops::Range;

use url::Url;

/// Where to put credentials instead.
pub const CREDENTIALS_ADVICE: &str = "put user name and password where they are not committed: in ~/.netrc \
                                      (`machine HOST login USER password PASSWORD`), or in the environment as \
                                      HTTP_AUTH=basic:HOST:USER:PASSWORD. If the URL was committed or published, change \
                                      the password. Write an @ that belongs to the path as %40";

/// Whether a URL contains a user name or a password, even if they make it an invalid one.
#[must_use]
pub fn has_credentials(url: &str) -> bool {
    let parsed = Url::parse(url).is_ok_and(|url| !url.username().is_empty() || url.password().is_some());
    parsed || url.lines().any(|line| credentials(line, may_end_credentials).is_some())
}

/// Replaces user names, passwords and queries of all URLs in `text` by stars, one for each character. A password may
/// contain anything, so what looks like a part of one is hidden, too. For text that somebody wrote.
#[must_use]
pub fn hide_credentials(text: &str) -> String {
    text.split_inclusive('\n').map(|line| hide_in_line(line, may_end_credentials)).collect()
}

/// Like [`hide_credentials`], for messages, which contain our own URLs of files with a `@` in their names.
#[must_use]
pub fn hide_in_message(text: &str) -> String {
    text.split_inclusive('\n').map(|line| hide_in_line(line, ends_credentials)).collect()
}

fn hide_in_line(line: &str, is_end: fn(&str) -> bool) -> String {
    let mut hidden = line.to_owned();
    if let Some(range) = credentials(&hidden, is_end) {
        hide(&mut hidden, range);
    }
    // From the last one on, because a star may be shorter than what it replaces.
    let queries: Vec<_> = authorities(&hidden).filter_map(|start| query(&hidden, start)).collect();
    for range in queries.into_iter().rev() {
        hide(&mut hidden, range);
    }
    hidden
}

fn hide(text: &mut String, range: Range<usize>) {
    let stars = "*".repeat(text.get(range.clone()).map_or(0, |part| part.chars().count()));
    text.replace_range(range, &stars);
}

/// Where the URLs of a line go on after the scheme. Like browsers, the url crate takes `http:host` for `http://host`.
fn authorities(line: &str) -> impl Iterator<Item = usize> {
    line.match_indices(':').filter_map(|(colon, _)| {
        let (scheme, rest) = (line.get(..colon)?, line.get(colon + 1..)?);
        let scheme = scheme.rsplit(|c: char| !c.is_ascii_alphanumeric()).next()?;
        let is_web = ["http", "https", "ftp"].iter().any(|web| scheme.eq_ignore_ascii_case(web));
        let is_url = is_web || rest.starts_with("//");
        is_url.then(|| line.len() - rest.trim_start_matches(['/', '\\', '\t']).len())
    })
}

/// The first user name and password of a line, up to its last `@`: quotes, spaces and slashes may belong to them.
/// `is_end` tells from a URL without its scheme whether that `@` ends credentials.
fn credentials(line: &str, is_end: fn(&str) -> bool) -> Option<Range<usize>> {
    authorities(line).find_map(|start| {
        let url = line.get(start..)?;
        let end = url.rfind('@')?;
        is_end(url).then_some(start..start + end)
    })
}

/// Whether this is certain, because what follows the name isn't a port.
fn ends_credentials(url: &str) -> bool {
    let authority = url.split(|c: char| c.is_whitespace() || "/\\?#\"`".contains(c)).next().unwrap_or_default();
    let after_address = authority.trim_end_matches([':', ',', ';', ')']).rsplit(']').next().unwrap_or_default();
    authority.contains('@') || (after_address.contains(':') && !has_port(after_address))
}

/// Whether it is possible.
fn may_end_credentials(url: &str) -> bool {
    let (authority, path) = url.split_at(url.find(['/', '\\', '?', '#']).unwrap_or(url.len()));
    // What looks like a port may be the start of a password. npm's scopes look like `host:port/@scope`.
    let after_address = authority.rsplit(']').next().unwrap_or_default();
    let is_scope = path.starts_with("/@") && path.matches('@').count() == 1 && has_port(after_address);
    authority.contains('@') || (after_address.contains(':') && !is_scope)
}

fn has_port(authority: &str) -> bool {
    authority.split_once(':').is_some_and(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The query of the URL whose authority begins at `start`.
fn query(line: &str, start: usize) -> Option<Range<usize>> {
    let url = line.get(start..)?.split(|c: char| c.is_whitespace() || "\"'<>`".contains(c)).next()?;
    let (before, _) = url.split_once('?')?;
    Some(start + before.len() + 1..start + url.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_none_is_left_alone() {
        for text in [
            "https://example.org/main",
            "https://example.org:8443/@scope/main",
            "https://example.org/@scope/main",
            "https://example.org/a@1/main",
            "https://example.org:8443/a%401/main",
            "http://[::1]/a@b",
            "/srv/packages",
            "/srv/p@ckages: see http",
            "bob:secret@example.org",
            "https://example.org/main is what bob@example.org said",
        ] {
            assert!(!has_credentials(text), "{text}");
            assert_eq!(hide_credentials(text), text);
        }
    }

    #[test]
    fn credentials_are_found_and_hidden() {
        for (text, hidden) in [
            ("https://bob:secret@example.org/main", "https://**********@example.org/main"),
            ("https://token@example.org", "https://*****@example.org"),
            ("https://bob:s/e?c#r@t@example.org/main", "https://*************@example.org/main"),
            ("ftp://bob:pä@example.org", "ftp://******@example.org"),
            ("https://b:it's@h/x", "https://******@h/x"),
            ("https://b:a \"<>\u{a0}@h/x", "https://********@h/x"),
            ("https://b:a://c@h/x", "https://*******@h/x"),
            ("https://b:12/34@h/x", "https://*******@h/x"),
            ("https://b:12/@s@h/x", "https://*******@h/x"),
            ("https://b:1?23@h/x", "https://******@h/x"),
            ("http://[::1]:80/2@h", "http://**********@h"),
            ("http:/b:c@h/x", "http:/***@h/x"),
            ("HTTP:b:c@h/x", "HTTP:***@h/x"),
            ("http:\\\\b:c@h/x", "http:\\\\***@h/x"),
            ("a\nhttps://b:c@h\nd@e", "a\nhttps://***@h\nd@e"),
            ("https://a.example b https://c:d@h", "https://***********************@h"),
        ] {
            assert!(has_credentials(text), "{text}");
            assert_eq!(hide_credentials(text), hidden);
            assert_eq!(hide_credentials(hidden), hidden);
        }
        let comment = "url = \"https://a:b@c\" # or https://d:e@f";
        assert_eq!(hide_credentials(comment), "url = \"https://***********************@f");
    }

    #[test]
    fn messages_name_files_with_at_signs() {
        for (text, hidden) in [
            ("can't fetch http://127.0.0.1:9/keys/me@example.org.rsa.pub", None),
            ("\"http://[::1]:9\": no key me@example.org", None),
            ("http://127.0.0.1:9: no key me@example.org", None),
            ("can't read http://bob:a/b@c@h/x", Some("can't read http://*********@h/x")),
            ("can't read \"http://bob:a 'b@h/x?y\": z", Some("can't read \"http://********@h/x?*\": z")),
            ("can't read http://token@h", Some("can't read http://*****@h")),
        ] {
            assert_eq!(hide_in_message(text), hidden.unwrap_or(text));
        }
    }

    #[test]
    fn queries_are_hidden_because_they_may_be_tokens() {
        for (text, hidden) in [
            ("https://h/r?token=x", "https://h/r?*******"),
            ("\"https://h?a=b&c=d\" and http://h/?é no more?", "\"https://h?*******\" and http://h/?* no more?"),
            ("https://b:c@h/r?t", "https://***@h/r?*"),
        ] {
            assert_eq!(hide_credentials(text), hidden);
        }
    }
}
