use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use super::excerpt;

/// A package version: `<number>{.<number>}{<letter>}{_<suffix>{<number>}}{~<commit hash>}{-r<number>}`.
///
/// Ordered as in apk. Equal versions can have different texts (`1.0-r1` and `1.0-r01`). Real packages also have invalid
/// versions, which are kept unchanged, see [`Version::any`].
#[derive(Clone)]
pub struct Version(Box<str>);

/// The text is not a version in apk's grammar.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not a version: unexpected {rest:?} after {valid:?}")]
pub struct VersionError {
    pub found: String,
    pub valid: String,
    pub rest: String,
}

impl Version {
    /// Accepts any `text`, valid or not.
    ///
    /// The invalid part sorts below anything valid in its place, by its bytes.
    #[must_use]
    pub fn any(text: &str) -> Self {
        Self(text.into())
    }

    /// Whether the version is valid.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        Tokens::new(self).all(|token| !matches!(token, Token::Invalid(_)))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this version is `prefix`, or starts with all of its components: `1.2.3-r0` with `1.2`, but not `1.20`.
    ///
    /// This is the operator `~`.
    #[must_use]
    pub fn starts_with(&self, prefix: &Self) -> bool {
        let mut tokens = Tokens::new(self);
        Tokens::new(prefix).take_while(|token| *token != Token::End).all(|token| tokens.next() == Some(token))
    }
}

impl FromStr for Version {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        let version = Self::any(text);
        for token in Tokens::new(&version) {
            if let Token::Invalid(rest) = token {
                let valid = text.strip_suffix(rest).unwrap_or_default();
                return Err(VersionError { found: excerpt(text), valid: excerpt(valid), rest: excerpt(rest) });
            }
        }
        Ok(version)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Version({self})")
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        if self.0 == other.0 { Ordering::Equal } else { Tokens::new(self).cmp(Tokens::new(other)) }
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Version {}

impl Hash for Version {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Tokens::new(self).for_each(|token| token.hash(state));
    }
}

/// A component of a version. Versions are compared by their first different component, in the order of these variants:
/// the end of a version sorts above a pre-release suffix and below any other continuation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Token<'a> {
    PreRelease(PreRelease),
    Invalid(&'a str),
    End,
    Revision(Number<'a>),
    Commit(&'a str),
    SuffixNumber(Number<'a>),
    PostRelease(PostRelease),
    Letter(u8),
    /// A number after a dot. With a leading zero it is compared as a fraction, which sorts below all others.
    Fraction(&'a str),
    Number(Number<'a>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum PreRelease {
    Alpha,
    Beta,
    Pre,
    Rc,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum PostRelease {
    Cvs,
    Svn,
    Git,
    Hg,
    Patch,
}

/// A number of any size: the count of its digits without leading zeros, then the digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Number<'a>(usize, &'a str);

impl<'a> Number<'a> {
    fn new(digits: &'a str) -> Self {
        let digits = digits.trim_start_matches('0');
        Self(digits.len(), digits)
    }
}

/// The components of a version, up to and including its end or its invalid part.
struct Tokens<'a> {
    rest: &'a str,
    last: Last,
}

/// What was read last, which determines what may follow.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Last {
    Nothing,
    Number,
    Letter,
    Suffix,
    SuffixNumber,
    Commit,
    Revision,
    End,
}

impl<'a> Tokens<'a> {
    fn new(version: &'a Version) -> Self {
        Self { rest: &version.0, last: Last::Nothing }
    }

    fn next_valid(&mut self) -> Option<(Last, Token<'a>)> {
        let rest = self.rest;
        match (self.last, rest.bytes().next()?) {
            (Last::Nothing, _) => Some((Last::Number, Token::Number(Number::new(self.digits(rest)?)))),
            (Last::Number, b'.') => Some((Last::Number, self.number(rest.get(1..)?)?)),
            (Last::Number, letter @ b'a'..=b'z') => {
                self.rest = rest.get(1..)?;
                Some((Last::Letter, Token::Letter(letter)))
            }
            (Last::Suffix, b'0'..=b'9') => {
                Some((Last::SuffixNumber, Token::SuffixNumber(Number::new(self.digits(rest)?))))
            }
            (last, b'_') if last < Last::Commit => Some((Last::Suffix, self.suffix(rest.get(1..)?)?)),
            (last, b'~') if last < Last::Commit => {
                let hash = self.take(rest.get(1..)?, |b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))?;
                Some((Last::Commit, Token::Commit(hash)))
            }
            (last, b'-') if last < Last::Revision => {
                Some((Last::Revision, Token::Revision(Number::new(self.digits(rest.strip_prefix("-r")?)?))))
            }
            _ => None,
        }
    }

    /// Takes the `wanted` bytes at the start of `text`, at least one, and continues after them.
    fn take(&mut self, text: &'a str, wanted: impl Fn(u8) -> bool) -> Option<&'a str> {
        let end = text.bytes().position(|b| !wanted(b)).unwrap_or(text.len());
        let (taken, rest) = text.split_at_checked(end)?;
        self.rest = rest;
        (!taken.is_empty()).then_some(taken)
    }

    fn digits(&mut self, text: &'a str) -> Option<&'a str> {
        self.take(text, |b| b.is_ascii_digit())
    }

    fn number(&mut self, text: &'a str) -> Option<Token<'a>> {
        let digits = self.digits(text)?;
        Some(if digits.starts_with('0') { Token::Fraction(digits) } else { Token::Number(Number::new(digits)) })
    }

    fn suffix(&mut self, text: &'a str) -> Option<Token<'a>> {
        Some(match self.take(text, |b| b.is_ascii_lowercase())? {
            "alpha" => Token::PreRelease(PreRelease::Alpha),
            "beta" => Token::PreRelease(PreRelease::Beta),
            "pre" => Token::PreRelease(PreRelease::Pre),
            "rc" => Token::PreRelease(PreRelease::Rc),
            "cvs" => Token::PostRelease(PostRelease::Cvs),
            "svn" => Token::PostRelease(PostRelease::Svn),
            "git" => Token::PostRelease(PostRelease::Git),
            "hg" => Token::PostRelease(PostRelease::Hg),
            "p" => Token::PostRelease(PostRelease::Patch),
            _ => return None,
        })
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        if self.last == Last::End {
            return None;
        }
        let before = self.rest;
        let (last, token) = if before.is_empty() && self.last != Last::Nothing {
            (Last::End, Token::End)
        } else {
            self.next_valid().unwrap_or((Last::End, Token::Invalid(before)))
        };
        self.last = last;
        Some(token)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn version(text: &str) -> Version {
        text.parse().unwrap()
    }

    /// Each is below the next.
    #[test]
    fn orders_as_apk_does() {
        let ascending = [
            "0.1_alpha_pre1",
            "0.1_alpha",
            "0.1_alpha2",
            "0.1_beta",
            "0.1_pre",
            "0.1_rc",
            "0.1",
            "0.1-r0",
            "0.1-r2",
            "0.1-r10",
            "0.1~00",
            "0.1~f3-r0",
            "0.1_cvs",
            "0.1_svn",
            "0.1_git",
            "0.1_git20240101",
            "0.1_hg",
            "0.1_p",
            "0.1_p0",
            "0.1_p1",
            "0.1_p1-r1",
            "0.1_p1_p2",
            "0.1_p2",
            "0.1_p10",
            "0.1a",
            "0.1a-r1",
            "0.1a_p1",
            "0.1b",
            "0.1.0",
            "0.1.0.5",
            "0.1.00",
            "0.1.01",
            "0.1.010",
            "0.1.02",
            "0.1.1",
            "0.1.9",
            "0.1.10",
            "0.1.20240101",
            "0.2",
            "1",
            "9",
            "10",
            "20240101",
            "99999999999999999999999",
        ];
        for pair in ascending.windows(2) {
            assert!(version(pair[0]) < version(pair[1]), "{} < {}", pair[0], pair[1]);
        }
    }

    #[test]
    fn equal_numbers_need_not_look_equal() {
        assert_eq!(version("01.2-r1"), version("1.2-r01"));
        assert_ne!(version("1.2"), version("1.02"));
    }

    #[test]
    fn fuzzy_match_compares_whole_components() {
        for (text, prefix, want) in [
            ("1.2.3-r0", "1.2", true),
            ("1.2.3-r0", "1.2.3-r0", true),
            ("1.2_rc1", "1.2", true),
            ("1.2b", "1.2", true),
            ("1.20", "1.2", false),
            ("1", "1.2", false),
            ("1.2-r10", "1.2-r1", false),
        ] {
            assert_eq!(version(text).starts_with(&version(prefix)), want, "{text} ~ {prefix}");
        }
    }

    #[test]
    fn refuses_what_the_grammar_lacks() {
        for text in [
            "",
            "a",
            "v1",
            "1.",
            "1..2",
            ".1",
            "1ab",
            "1a1",
            "0.1a1",
            "7.4.0p1-r1",
            "1a.2",
            "1_",
            "1_foo",
            "1_1",
            "1_alphaX",
            "1~",
            "1~xyz",
            "1~AB",
            "1-r",
            "1-1",
            "1-r1.2",
            "1-r1_p1",
            "1~ab_p1",
            "1 ",
            "1A",
            "1+dfsg",
            "1:2",
            "1-r1-r2",
            "é",
        ] {
            assert!(text.parse::<Version>().is_err(), "{text}");
            assert!(!Version::any(text).is_valid(), "{text}");
        }
        assert_eq!(
            "1.2+dfsg".parse::<Version>().unwrap_err(),
            VersionError { found: "1.2+dfsg".into(), valid: "1.2".into(), rest: "+dfsg".into() }
        );
    }

    /// Real packages have such versions: they can still be told apart.
    #[test]
    fn a_number_after_a_letter_is_outside_the_grammar_and_has_an_order() {
        let [older, newer] = ["7.4.0p1-r1", "7.4.0p2-r0"].map(Version::any);
        assert!(older < newer && newer < version("7.4.0p") && !newer.is_valid());
        let error = "0.1a1".parse::<Version>().unwrap_err();
        assert_eq!((error.valid.as_str(), error.rest.as_str()), ("0.1a", "1"));
    }

    fn any_version() -> impl Strategy<Value = Version> {
        prop_oneof![
            4 => "[0-2]{1,2}(\\.[0-2]{1,2}){0,2}[ab]?(_(alpha|rc|git|p)[0-2]?){0,2}(~[01a]{1,2})?(-r[0-2]{1,2})?",
            1 => "[012.ab_~r-]{0,6}",
        ]
        .prop_map(|text| Version::any(&text))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn is_a_total_order(a in any_version(), b in any_version(), c in any_version()) {
            prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
            prop_assert_eq!(a.cmp(&a), Ordering::Equal);
            if a <= b && b <= c {
                prop_assert!(a <= c);
            }
            if a == b {
                prop_assert_eq!(a.cmp(&c), b.cmp(&c));
            }
        }

        #[test]
        fn reads_any_text(text in ".{0,20}") {
            let version = Version::any(&text);
            prop_assert_eq!(version.is_valid(), text.parse::<Version>().is_ok());
            prop_assert_eq!(version.as_str(), text);
        }
    }
}
