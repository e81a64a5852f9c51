use std::fmt;
use std::str::FromStr;

/// A name for a manifest in its repository: `[A-Za-z0-9_][A-Za-z0-9._-]{0,127}` (distribution-spec).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag(String);

/// The text is not a tag.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} can't be a tag: a tag has up to 128 letters, digits, `_`, `.` and `-`, and doesn't start with `.` or `-`"
)]
pub struct TagError {
    pub text: String,
}

impl FromStr for Tag {
    type Err = TagError;

    fn from_str(text: &str) -> Result<Self, TagError> {
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let mut bytes = text.bytes();
        let starts_well = bytes.next().is_some_and(is_word);
        if starts_well && text.len() <= 128 && bytes.all(|byte| is_word(byte) || b".-".contains(&byte)) {
            Ok(Self(text.to_owned()))
        } else {
            Err(TagError { text: text.to_owned() })
        }
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_tags() {
        let longest = "x".repeat(128);
        for tag in ["latest", "v1.2-rc.1", "_", "0", "A..b--", &longest] {
            assert_eq!(tag.parse::<Tag>().unwrap().to_string(), tag);
        }
        let too_long = "x".repeat(129);
        for text in ["", "feature/x", "v1+2", "ä", "a b", ".x", "-x", "a:b", "a?b", "a#b", "..", "a\n", &too_long] {
            assert!(text.parse::<Tag>().is_err(), "{text:?}");
        }
    }
}
