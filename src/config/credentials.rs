//! User names and passwords in URLs. They don't belong in committed files or in output.

use std::ops::Range;

/// Where to put credentials instead.
pub const CREDENTIALS_ADVICE: &str = "put user name and password where they are not committed: in ~/.netrc \
                                      (`machine HOST login USER password PASSWORD`), or in the environment as \
                                      HTTP_AUTH=basic:HOST:USER:PASSWORD. If the URL was committed or published, change \
                                      the password";

/// Whether a URL contains a user name or a password.
#[must_use]
pub fn has_credentials(url: &str) -> bool {
    credentials(url, 0).is_some()
}

/// Replaces user names and passwords of all URLs in `text` by stars, one for each character.
#[must_use]
pub fn hide_credentials(text: &str) -> String {
    let mut hidden = text.to_owned();
    let mut from = 0;
    while let Some(range) = credentials(&hidden, from) {
        let stars = "*".repeat(hidden.get(range.clone()).map_or(0, |part| part.chars().count()));
        from = range.start + stars.len();
        hidden.replace_range(range, &stars);
    }
    hidden
}

/// The first user name and password in a URL of `text`, from the byte `from` on.
fn credentials(text: &str, from: usize) -> Option<Range<usize>> {
    let mut from = from;
    loop {
        let start = from + text.get(from..)?.find("://")? + "://".len();
        let rest = text.get(start..)?;
        let url = rest.split(|c: char| c.is_whitespace() || "\"'<>".contains(c)).next()?;
        let authority = url.split(['/', '?', '#']).next()?;
        // After a colon comes a port. If it isn't one, it is a password with a character that ends the authority.
        let port = authority.rsplit_once(':').map_or("", |(_, port)| port);
        let end = if port.bytes().all(|byte| byte.is_ascii_digit()) { authority.rfind('@') } else { url.rfind('@') };
        match end {
            Some(end) => return Some(start..start + end),
            None => from = start,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_found_and_hidden() {
        for (text, hidden) in [
            ("https://example.org/main", None),
            ("https://example.org:8443/@scope/main", None),
            ("/srv/packages", None),
            ("bob:secret@example.org", None),
            ("https://bob:secret@example.org/main", Some("https://**********@example.org/main")),
            ("https://token@example.org", Some("https://*****@example.org")),
            ("https://bob:s/e?c#r@t@example.org/main", Some("https://*************@example.org/main")),
            ("ftp://bob:pä@example.org", Some("ftp://******@example.org")),
            ("url = \"https://a:b@c\" # a@b, https://d:e@f", Some("url = \"https://***@c\" # a@b, https://***@f")),
        ] {
            assert_eq!(has_credentials(text), hidden.is_some(), "{text}");
            assert_eq!(hide_credentials(text), hidden.unwrap_or(text));
        }
    }
}
