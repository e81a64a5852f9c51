use std::fmt;
use std::str::FromStr;

use super::{Checksum, ChecksumError, Package, Version, excerpt};

/// A requirement in the notation of packages and worlds: `name`, `!name`, `name>=1.2`, `name~1.2`, `name@tag`,
/// `name=1.2@tag`, `name><Q1…`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Dependency {
    /// The name of a package, or one that packages provide (`so:libc.musl-x86_64.so.1`, `cmd:sh`, `/bin/sh`).
    pub name: String,
    /// `!`: packages that match the rest must not be installed.
    pub conflict: bool,
    /// Which versions are acceptable.
    pub constraint: Option<Constraint>,
    /// The tag of the repository that it may come from, without the `@`.
    pub tag: Option<String>,
}

/// Which packages of a name are acceptable.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Constraint {
    /// Those whose version compares to the given one in this way.
    Version {
        op: Op,
        /// The version on the right-hand side; see [`Op::allows`] for an invalid one.
        version: Version,
    },
    /// `><`: only the package with this checksum.
    Checksum(Checksum),
}

/// How a version may compare to the requested one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Op {
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `<~`: less, or as [`Op::Fuzzy`].
    LessOrFuzzy,
    /// `=`
    Equal,
    /// `~`: equal up to the length of the version on the right, see [`Version::starts_with`].
    Fuzzy,
    /// `>~`: greater, or as [`Op::Fuzzy`].
    GreaterOrFuzzy,
    /// `>=`
    GreaterOrEqual,
    /// `>`
    Greater,
}

/// A name under which a package can be required, `name` or `name=version`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Provide {
    pub name: String,
    /// The version of that name. Without one, several packages that provide the name can be installed together.
    pub version: Option<Version>,
}

/// The text is not a dependency.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DependencyError {
    /// There is no name in it.
    #[error("{found:?} is not a dependency: it names no package")]
    NoName { found: String },
    /// Lists separate dependencies by white space, and files replace control characters by it.
    #[error("{found:?} is not a dependency: it contains white space or a control character")]
    NotPlain { found: String },
    /// There is an operator and nothing after it.
    #[error("{found:?} is not a dependency: a version must follow {op:?}")]
    NoVersion { found: String, op: String },
    /// There is an `@` and nothing after it.
    #[error("{found:?} is not a dependency: a tag must follow the @")]
    NoTag { found: String },
    /// The operator's characters make no relation.
    #[error("{found:?} is not a dependency: {op:?} is not one of = < <= > >= ~ ><")]
    UnknownOp { found: String, op: String },
    /// `><` is followed by something else than a checksum.
    #[error("{found:?} is not a dependency: a checksum must follow ><")]
    BadChecksum { found: String, source: ChecksumError },
    /// It is a provide, and those have at most `=` and a version.
    #[error("{found:?} is not a valid provide: expected a name, or name=version")]
    NotAProvide { found: String },
}

impl Op {
    /// Whether `version` compares to `asked` in this way.
    #[must_use]
    pub fn matches(self, version: &Version, asked: &Version) -> bool {
        match self {
            Self::Less => version < asked,
            Self::LessOrEqual => version <= asked,
            Self::LessOrFuzzy => version < asked || version.starts_with(asked),
            Self::Equal => version == asked,
            Self::Fuzzy => version.starts_with(asked),
            Self::GreaterOrFuzzy => version > asked || version.starts_with(asked),
            Self::GreaterOrEqual => version >= asked,
            Self::Greater => version > asked,
        }
    }

    /// Whether `version` satisfies a requirement for `asked`. An invalid `asked` is satisfied only by the same text: old
    /// packages have such versions, and depend on each other.
    #[must_use]
    pub fn allows(self, version: &Version, asked: &Version) -> bool {
        if asked.is_valid() {
            self.matches(version, asked)
        } else {
            !matches!(self, Self::Less | Self::Greater) && version.as_str() == asked.as_str()
        }
    }

    /// Reads an operator. As in apk, the order of its characters doesn't matter, nor does `=` next to `~`.
    fn parse(text: &str) -> Option<Self> {
        let fuzzy = text.contains('~');
        let equal = fuzzy || text.contains('=');
        Some(match (text.contains('<'), text.contains('>'), equal, fuzzy) {
            (true, false, false, _) => Self::Less,
            (true, false, true, false) => Self::LessOrEqual,
            (true, false, _, true) => Self::LessOrFuzzy,
            (false, false, true, false) => Self::Equal,
            (false, false, _, true) => Self::Fuzzy,
            (false, true, _, true) => Self::GreaterOrFuzzy,
            (false, true, true, false) => Self::GreaterOrEqual,
            (false, true, false, _) => Self::Greater,
            _ => return None,
        })
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::LessOrFuzzy => "<~",
            Self::Equal => "=",
            Self::Fuzzy => "~",
            Self::GreaterOrFuzzy => ">~",
            Self::GreaterOrEqual => ">=",
            Self::Greater => ">",
        })
    }
}

impl Constraint {
    fn matches(&self, version: Option<&Version>, checksum: Option<&Checksum>) -> bool {
        match self {
            Self::Version { op, version: asked } => version.is_some_and(|version| op.allows(version, asked)),
            Self::Checksum(asked) => checksum == Some(asked),
        }
    }
}

impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version { op, version } => write!(f, "{op}{version}"),
            Self::Checksum(checksum) => write!(f, "><{checksum}"),
        }
    }
}

impl Dependency {
    /// A requirement of any version of `name`.
    #[must_use]
    pub fn on(name: impl Into<String>) -> Self {
        Self { name: name.into(), conflict: false, constraint: None, tag: None }
    }

    /// Whether `package`, under its own name, matches this, regardless of `!` and tag.
    #[must_use]
    pub fn describes(&self, package: &Package) -> bool {
        let matches = |it: &Constraint| it.matches(Some(&package.version), package.checksum.as_ref());
        self.name == package.name && self.constraint.as_ref().is_none_or(matches)
    }

    /// Whether `provide` matches this, regardless of `!` and tag.
    #[must_use]
    pub fn describes_provide(&self, provide: &Provide) -> bool {
        let matches = |it: &Constraint| it.matches(provide.version.as_ref(), None);
        self.name == provide.name && self.constraint.as_ref().is_none_or(matches)
    }

    /// The name that a dependency or provide starts with, even if the rest can't be read.
    pub(super) fn name_in(text: &str) -> &str {
        split_where(text.strip_prefix('!').unwrap_or(text), |byte| is_op(byte) || byte == b'@').0
    }

    /// Reads dependencies separated by white space, as fields and world files list them.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, DependencyError> {
        text.split_ascii_whitespace().map(str::parse).collect()
    }
}

impl FromStr for Dependency {
    type Err = DependencyError;

    fn from_str(text: &str) -> Result<Self, DependencyError> {
        let found = || excerpt(text);
        if text.bytes().any(|byte| byte == b' ' || byte.is_ascii_control()) {
            return Err(DependencyError::NotPlain { found: found() });
        }
        let (conflict, rest) = match text.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (name, rest) = split_where(rest, |byte| is_op(byte) || byte == b'@');
        if name.is_empty() {
            return Err(DependencyError::NoName { found: found() });
        }
        // apk writes the tag last; people write it before or after the version.
        let (tag_before, rest) = match rest.strip_prefix('@') {
            Some(rest) => {
                let (tag, rest) = split_where(rest, is_op);
                (Some(tag), rest)
            }
            None => (None, rest),
        };
        let (op, rest) = split_where(rest, |byte| !is_op(byte));
        let (version, tag_after) = match rest.split_once('@') {
            Some((version, tag)) => (version, Some(tag)),
            None => (rest, None),
        };
        let tag = tag_before.or(tag_after);
        if tag == Some("") {
            return Err(DependencyError::NoTag { found: found() });
        }
        let constraint = if op.is_empty() {
            None
        } else if version.is_empty() {
            return Err(DependencyError::NoVersion { found: found(), op: op.into() });
        } else if let Some(op) = Op::parse(op) {
            Some(Constraint::Version { op, version: Version::any(version) })
        } else if matches!(op, "><" | "<>") {
            let checksum = version.parse();
            Some(Constraint::Checksum(
                checksum.map_err(|source| DependencyError::BadChecksum { found: found(), source })?,
            ))
        } else {
            return Err(DependencyError::UnknownOp { found: found(), op: op.into() });
        };
        Ok(Self { name: name.into(), conflict, constraint, tag: tag.map(Into::into) })
    }
}

/// Splits before the first `wanted` byte, an ASCII character.
fn split_where(text: &str, wanted: impl Fn(u8) -> bool) -> (&str, &str) {
    text.split_at_checked(text.bytes().position(wanted).unwrap_or(text.len())).unwrap_or((text, ""))
}

fn is_op(byte: u8) -> bool {
    matches!(byte, b'<' | b'=' | b'>' | b'~')
}

impl fmt::Display for Dependency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.conflict {
            f.write_str("!")?;
        }
        f.write_str(&self.name)?;
        if let Some(constraint) = &self.constraint {
            write!(f, "{constraint}")?;
        }
        match &self.tag {
            Some(tag) => write!(f, "@{tag}"),
            None => Ok(()),
        }
    }
}

impl Provide {
    /// Reads provides separated by white space, as the field lists them.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, DependencyError> {
        text.split_ascii_whitespace().map(str::parse).collect()
    }
}

impl FromStr for Provide {
    type Err = DependencyError;

    fn from_str(text: &str) -> Result<Self, DependencyError> {
        let dependency: Dependency = text.parse()?;
        let not = || DependencyError::NotAProvide { found: excerpt(text) };
        if dependency.conflict || dependency.tag.is_some() {
            return Err(not());
        }
        let version = match dependency.constraint {
            None => None,
            Some(Constraint::Version { op: Op::Equal, version }) => Some(version),
            Some(_) => return Err(not()),
        };
        Ok(Self { name: dependency.name, version })
    }
}

impl fmt::Display for Provide {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.version {
            Some(version) => write!(f, "{}={version}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_apks_whole_notation() {
        for (text, shown) in [
            ("musl", "musl"),
            ("!musl", "!musl"),
            ("so:libc.musl-x86_64.so.1", "so:libc.musl-x86_64.so.1"),
            ("a=1", "a=1"),
            ("a<1", "a<1"),
            ("a<=1", "a<=1"),
            ("a=<1", "a<=1"),
            ("a>1", "a>1"),
            ("a>=1", "a>=1"),
            ("a~1", "a~1"),
            ("a=~1", "a~1"),
            ("a~=1", "a~1"),
            ("a>~1", "a>~1"),
            ("a@edge", "a@edge"),
            ("a=1@edge", "a=1@edge"),
            ("a@edge=1", "a=1@edge"),
            ("!a<2-r0", "!a<2-r0"),
            ("a><Q1qZk+NkcGgWq6PiVxeFDCbJzQ2J0=", "a><Q1qZk+NkcGgWq6PiVxeFDCbJzQ2J0="),
            ("pc:librtmp=v2.4", "pc:librtmp=v2.4"),
        ] {
            assert_eq!(text.parse::<Dependency>().unwrap().to_string(), shown, "{text}");
        }
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, error) in [
            ("", r#""" is not a dependency: it names no package"#),
            ("!", r#""!" is not a dependency: it names no package"#),
            ("=1", r#""=1" is not a dependency: it names no package"#),
            ("a>=", r#""a>=" is not a dependency: a version must follow ">=""#),
            ("a@", r#""a@" is not a dependency: a tag must follow the @"#),
            ("a b", r#""a b" is not a dependency: it contains white space or a control character"#),
            ("a=1\0", r#""a=1\0" is not a dependency: it contains white space or a control character"#),
            ("a><1", r#""a><1" is not a dependency: a checksum must follow ><"#),
            ("a<=>1", r#""a<=>1" is not a dependency: "<=>" is not one of = < <= > >= ~ ><"#),
        ] {
            assert_eq!(text.parse::<Dependency>().unwrap_err().to_string(), error);
        }
    }

    #[test]
    fn a_version_may_relate_in_six_ways() {
        let versions = ["1.1", "1.2_rc1", "1.2", "1.2-r1", "1.2.1", "1.3"];
        for (asked, want) in [
            ("a", &versions[..]),
            ("a=1.2", &["1.2"]),
            ("a<1.2", &["1.1", "1.2_rc1"]),
            ("a<=1.2", &["1.1", "1.2_rc1", "1.2"]),
            ("a>1.2", &["1.2-r1", "1.2.1", "1.3"]),
            ("a>=1.2", &["1.2", "1.2-r1", "1.2.1", "1.3"]),
            ("a~1.2", &["1.2_rc1", "1.2", "1.2-r1", "1.2.1"]),
            ("a=1.2+dfsg", &[]),
            ("a<=1.2+dfsg", &[]),
        ] {
            let asked: Dependency = asked.parse().unwrap();
            let provides = |v: &&str| asked.describes_provide(&format!("a={v}").parse().unwrap());
            assert_eq!(versions.iter().copied().filter(provides).collect::<Vec<_>>(), want, "{asked}");
        }
    }

    #[test]
    fn a_version_outside_the_grammar_is_satisfied_by_itself_alone() {
        let versions = ["1.1.0b1-r7", "1.1.0b1-r8", "1.1.0b-r7"];
        for (asked, want) in [("=", &versions[..1]), (">=", &versions[..1]), ("~", &versions[..1]), (">", &[])] {
            let asked: Dependency = format!("a{asked}1.1.0b1-r7").parse().unwrap();
            let provides = |v: &&str| asked.describes_provide(&format!("a={v}").parse().unwrap());
            assert_eq!(versions.iter().copied().filter(provides).collect::<Vec<_>>(), want, "{asked}");
        }
    }

    #[test]
    fn a_provide_without_version_satisfies_none() {
        let provide: Provide = "a".parse().unwrap();
        assert!("a".parse::<Dependency>().unwrap().describes_provide(&provide));
        assert!(!"a>0".parse::<Dependency>().unwrap().describes_provide(&provide));
    }

    #[test]
    fn provides_have_no_operator_but_equal() {
        for text in ["!a", "a>1", "a~1", "a@edge", ""] {
            assert!(text.parse::<Provide>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn parses_what_it_shows(text in "!?[a-z:/.]{1,6}([<=>~]{1,2}[0-9.]{1,3})?(@[a-z]{1,3})?") {
            if let Ok(dependency) = text.parse::<Dependency>() {
                prop_assert_eq!(dependency.to_string().parse::<Dependency>().unwrap(), dependency);
            }
        }

        #[test]
        fn reads_any_text(text in ".{0,20}") {
            let _ = text.parse::<Dependency>();
        }
    }
}
