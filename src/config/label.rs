//! Labels of an image's configuration and annotations of its manifest, which have the same rules.

/// The maximum length of key and value together, in bytes: containerd's limit.
const LONGEST: usize = 4096;

/// Keys that nobody can choose, and what determines them.
const RESERVED: [(&str, &str); 3] = [
    ("org.opencontainers.image.created", "the newest package or SOURCE_DATE_EPOCH decides it"),
    ("org.opencontainers.image.ref.name", "a layout's index names its images by it"),
    ("io.containerd.image.name", "an archive names its image by it"),
];

/// Why a label or annotation can't be set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// Neither key nor value.
    #[error("expected KEY=VALUE, as in org.opencontainers.image.revision=0a1b2c")]
    NoValue,
    #[error("{key:?} can't be a key: use letters, digits and punctuation other than \"=\" and quotes")]
    Key { key: String },
    /// Set by mailimg itself.
    #[error("{key} can't be set: {reason}")]
    Reserved { key: String, reason: &'static str },
    /// A value with control characters.
    #[error("the value of {key} has control characters")]
    Value { key: String },
    /// Longer than engines accept.
    #[error("{key} and its value have {length} bytes together, but engines accept at most {LONGEST}")]
    TooLong { key: String, length: usize },
}

/// Refuses a label or annotation that can't be set.
pub(super) fn check(key: &str, value: &str) -> Result<(), LabelError> {
    let length = key.len() + value.len();
    let shown: String = key.chars().take(80).collect();
    if length > LONGEST {
        return Err(LabelError::TooLong { key: shown, length });
    }
    if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic() && !b"=\"'`".contains(&byte)) {
        return Err(LabelError::Key { key: shown });
    }
    if let Some((_, reason)) = RESERVED.iter().find(|(reserved, _)| *reserved == key) {
        return Err(LabelError::Reserved { key: shown, reason });
    }
    if value.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
        return Err(LabelError::Value { key: shown });
    }
    Ok(())
}

/// Reads `KEY=VALUE`.
pub fn parse_label(text: &str) -> Result<(String, String), LabelError> {
    let (key, value) = text.split_once('=').ok_or(LabelError::NoValue)?;
    check(key, value)?;
    Ok((key.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_values_are_separated_at_the_first_equals_sign() {
        let label = |key: &str, value: &str| Ok((key.to_owned(), value.to_owned()));
        assert_eq!(parse_label("org.example.a=b=c"), label("org.example.a", "b=c"));
        assert_eq!(parse_label("a="), label("a", ""));
        assert_eq!(parse_label("a=two\nlines é"), label("a", "two\nlines é"));
        assert_eq!(parse_label("a"), Err(LabelError::NoValue));
    }

    #[test]
    fn what_would_not_be_one_is_refused() {
        for key in ["", "a b", "a\n", "é", "\"a\""] {
            assert_eq!(check(key, "x"), Err(LabelError::Key { key: key.to_owned() }));
        }
        assert!(matches!(check("a", "x\0"), Err(LabelError::Value { .. })));
        assert!(matches!(check("a", &"x".repeat(4096)), Err(LabelError::TooLong { length: 4097, .. })));
        for (key, _) in RESERVED {
            assert!(matches!(check(key, "x"), Err(LabelError::Reserved { .. })), "{key}");
        }
    }
}
