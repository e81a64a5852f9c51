//! The text of an index, `APKINDEX`: one block of `X:value` lines per package, each followed by a blank line.

mod file;
mod write;

pub use file::{FILE_LIMIT, Index, IndexFileError, SignedIndex, sign_file};
pub use write::text;
pub(super) use write::{block, installed_fields};

use std::borrow::Cow;
use std::fmt;

use rayon::prelude::*;

use super::{ChecksumError, Dependency, DependencyError, Package, Provide, Version, excerpt};
use crate::printable;

/// What the text of an index lists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listed {
    pub packages: Vec<Package>,
    pub left_out: Vec<LeftOut>,
}

/// An entry of an index that can't be read, whose package therefore can't be used. The others can.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// The package's name, empty if the entry has none. It need not be a valid one.
    pub name: String,
    /// The package's version, empty if the entry has none. It need not be a valid one.
    pub version: String,
    /// The other names that the package provides.
    pub provides: Vec<String>,
    /// The line of the index with the error, counted from 1.
    pub line: usize,
    pub error: EntryError,
}

/// What is wrong with an entry of an index.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// A line is no field.
    #[error("{found:?} is not a letter, a colon and a value")]
    NotAField { found: String },
    /// A field has an invalid value.
    #[error("{found:?} is not a valid {what}")]
    BadValue { what: &'static str, found: String },
    /// A dependency, provide, `install_if` or `replaces` can't be read.
    #[error(transparent)]
    BadDependency(#[from] DependencyError),
    /// A checksum can't be read.
    #[error(transparent)]
    BadChecksum(#[from] ChecksumError),
    /// The entry ends without a field that every package has.
    #[error("the entry ends without a {what}")]
    Incomplete { what: &'static str },
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&*self.name, &*self.version) {
            ("", _) => f.write_str("a package without a name")?,
            (name, "") => f.write_str(&printable::field(name))?,
            (name, version) => write!(f, "{}-{}", printable::field(name), printable::field(version))?,
        }
        write!(f, " is left out, because line {} of the index can't be read: {}", self.line, self.error)
    }
}

/// Reads the text of an index.
///
/// As lenient as apk: lines may end in CR LF, the last line end may be missing, text need not be UTF-8, a line of one
/// character ends an entry as an empty one does, fields may repeat (lists are joined, otherwise the last one counts),
/// and unknown fields with a lower-case letter are ignored. An unknown field with an upper-case letter makes its package
/// [unsupported](Package::unsupported). An entry with any other error is left out.
#[must_use]
pub fn parse(text: &[u8]) -> Listed {
    let parts: Vec<(Listed, usize)> = split(text).into_par_iter().map(parse_part).collect();
    let (mut all, mut lines_before) = (Listed::default(), 0);
    for (mut part, lines) in parts {
        part.left_out.iter_mut().for_each(|entry| entry.line += lines_before);
        lines_before += lines;
        all.packages.append(&mut part.packages);
        all.left_out.append(&mut part.left_out);
    }
    all
}

/// Splits between packages into parts large enough for a thread each.
fn split(mut text: &[u8]) -> Vec<&[u8]> {
    const ENOUGH: usize = 1 << 18;
    let mut parts = Vec::new();
    while let Some((part, rest)) = text.get(ENOUGH..).and_then(|rest| {
        let end = ENOUGH + rest.windows(2).position(|pair| pair == b"\n\n")? + 2;
        text.split_at_checked(end)
    }) {
        parts.push(part);
        text = rest;
    }
    parts.push(text);
    parts
}

/// Also returns the number of line ends.
fn parse_part(text: &[u8]) -> (Listed, usize) {
    let mut listed = Listed::default();
    let mut block = Block::default();
    let mut count = 0;
    for (number, line) in text.split(|b| *b == b'\n').enumerate() {
        count = number;
        match line.strip_suffix(b"\r").unwrap_or(line) {
            [] | [_] => std::mem::take(&mut block).finish(number + 1, &mut listed),
            line => block.read(line, number + 1),
        }
    }
    block.finish(count + 1, &mut listed);
    (listed, count)
}

/// The entry being read.
struct Block {
    package: Package,
    has_name: bool,
    has_version: bool,
    /// Names in lists of provides that can't be read.
    provides: Vec<String>,
    started: bool,
    /// The first error, and its line.
    error: Option<(usize, EntryError)>,
}

impl Default for Block {
    fn default() -> Self {
        let package = Package::new("", Version::any(""), "");
        Self { package, has_name: false, has_version: false, provides: Vec::new(), started: false, error: None }
    }
}

impl Block {
    fn read(&mut self, line: &[u8], number: usize) {
        self.started = true;
        let read = match line {
            [field, b':', value @ ..] => {
                // Much faster than lossy decoding, which is rarely needed.
                let text = std::str::from_utf8(value).map_or_else(|_| String::from_utf8_lossy(value), Cow::Borrowed);
                self.field(*field, &text)
            }
            line => Err(EntryError::NotAField { found: excerpt(&String::from_utf8_lossy(line)) }),
        };
        if let Err(error) = read {
            self.error.get_or_insert((number, error));
        }
    }

    fn field(&mut self, field: u8, text: &str) -> Result<(), EntryError> {
        let bad = |what| EntryError::BadValue { what, found: excerpt(text) };
        let file_name = |what| if is_file_name(text) { Ok(()) } else { Err(bad(what)) };
        let number = |what| text.parse::<u64>().map_err(|_| bad(what));
        let small_number = |what| text.parse::<u32>().map_err(|_| bad(what));
        let package = &mut self.package;
        match field {
            b'P' => {
                (package.name, self.has_name) = (text.into(), true);
                file_name("name")?;
            }
            b'V' => {
                (package.version, self.has_version) = (Version::any(text), true);
                file_name("version")?;
            }
            b'A' => {
                file_name("architecture")?;
                package.arch = text.into();
            }
            b'T' => package.description = text.into(),
            b'U' => package.url = text.into(),
            b'L' => package.license = text.into(),
            b'o' => package.origin = some(text),
            b'm' => package.maintainer = some(text),
            b'c' => package.commit = some(text),
            b't' => package.build_time = Some(number("build time")?),
            b'I' => package.installed_size = number("installed size")?,
            b'S' => package.file_size = Some(number("file size")?),
            b'k' => package.provider_priority = Some(small_number("provider priority")?),
            b'q' => package.replaces_priority = Some(small_number("replaces priority")?),
            b'C' => package.checksum = Some(text.parse()?),
            b'D' => package.depends.append(&mut Dependency::parse_list(text)?),
            b'i' => package.install_if.append(&mut Dependency::parse_list(text)?),
            b'r' => package.replaces.append(&mut Dependency::parse_list(text)?),
            b'p' => match Provide::parse_list(text) {
                Ok(mut provides) => package.provides.append(&mut provides),
                Err(error) => {
                    self.provides.extend(text.split_ascii_whitespace().map(|it| Dependency::name_in(it).to_owned()));
                    return Err(error.into());
                }
            },
            field if field.is_ascii_uppercase() => package.unsupported = Some(char::from(field)),
            _ => {}
        }
        Ok(())
    }

    /// Ends the entry before that line.
    fn finish(self, line: usize, listed: &mut Listed) {
        let incomplete = |what| Some((line, EntryError::Incomplete { what }));
        let error = match (self.started, self.has_name, self.has_version) {
            (false, ..) => return,
            (_, false, _) => incomplete("name"),
            (_, _, false) => incomplete("version"),
            _ => None,
        };
        let Package { name, version, provides, .. } = &self.package;
        match self.error.or(error) {
            None => listed.packages.push(self.package),
            Some((line, error)) => listed.left_out.push(LeftOut {
                name: excerpt(name),
                version: excerpt(version.as_str()),
                provides: provides.iter().map(|it| it.name.clone()).chain(self.provides).collect(),
                line,
                error,
            }),
        }
    }
}

/// Whether `text` may become part of a file name, as names, versions and architectures do.
pub(super) fn is_file_name(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+' | '~' | ':' | ',');
    !text.is_empty() && text.len() <= 200 && text.chars().all(allowed) && !text.starts_with(['.', '-'])
}

pub(super) fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MUSL: &str = "C:Q1qZk+NkcGgWq6PiVxeFDCbJzQ2J0=\nP:musl\nV:1.2.5-r0\nA:x86_64\nS:383152\nI:622592\nT:the musl \
                        c library\n\
        U:https://musl.libc.org/\nL:MIT\no:musl\nm:Jane <jane@example.org>\nt:1711000000\nc:4fe5\nD:!uclibc a>=1\n\
        p:so:libc.musl-x86_64.so.1=1\ni:b c=2\nr:d<3\nq:100\nk:10\n";

    fn read(text: &[u8]) -> Vec<Package> {
        let Listed { packages, left_out } = parse(text);
        assert_eq!(left_out, []);
        packages
    }

    #[test]
    fn reads_every_field() {
        let packages = parse(MUSL.as_bytes()).packages;
        let [musl] = &packages[..] else { panic!("{packages:?}") };
        let expected = Package {
            description: "the musl c library".into(),
            url: "https://musl.libc.org/".into(),
            license: "MIT".into(),
            origin: Some("musl".into()),
            maintainer: Some("Jane <jane@example.org>".into()),
            build_time: Some(1_711_000_000),
            commit: Some("4fe5".into()),
            installed_size: 622_592,
            depends: Dependency::parse_list("!uclibc a>=1").unwrap(),
            provides: Provide::parse_list("so:libc.musl-x86_64.so.1=1").unwrap(),
            install_if: Dependency::parse_list("b c=2").unwrap(),
            replaces: Dependency::parse_list("d<3").unwrap(),
            replaces_priority: Some(100),
            provider_priority: Some(10),
            file_size: Some(383_152),
            checksum: Some("Q1qZk+NkcGgWq6PiVxeFDCbJzQ2J0=".parse().unwrap()),
            ..Package::new("musl", "1.2.5-r0".parse().unwrap(), "x86_64")
        };
        assert_eq!(*musl, expected);
    }

    #[test]
    fn forgives_what_apk_forgives() {
        let names = |text: &[u8]| read(text).into_iter().map(|it| it.name).collect::<Vec<_>>();
        assert_eq!(names(b""), Vec::<String>::new());
        assert_eq!(names(b"\n\n\nP:a\nV:1\n\n\n\nP:b\nV:1"), ["a", "b"]);
        assert_eq!(names(b"P:a\r\nV:1\r\n\r\nP:b\r\nV:1\r\n\r\n"), ["a", "b"]);
        assert_eq!(names(b"P:a\nV:1\n\nP:a\nV:1\n\n"), ["a", "a"]);
        assert_eq!(names(b"P:a\nV:1\nz:what\nT:caf\xe9\n\n"), ["a"]);
        assert_eq!(names(b"P:a\nV:1\nx\nP:b\nV:1\n\r\n"), ["a", "b"]);
    }

    #[test]
    fn repeated_lists_add_up() {
        let packages = read(b"P:a\nV:1\nV:2\nD:b\nD:c\n");
        assert_eq!(packages[0].version.as_str(), "2");
        assert_eq!(packages[0].depends, Dependency::parse_list("b c").unwrap());
    }

    #[test]
    fn an_unknown_upper_case_field_must_be_understood() {
        assert_eq!(read(b"P:a\nV:1\nX:y\n")[0].unsupported, Some('X'));
    }

    /// Long indexes are read in parts, by several threads.
    #[test]
    fn a_long_index_is_read_as_a_short_one() {
        let block = |number: usize| format!("P:p{number}\nV:{number}\nT:{}\n", "x".repeat(number % 97));
        let blocks: Vec<String> = (0..20_000).map(block).collect();
        for (newline, blank) in [("\n", "\n"), ("\r\n", "\r\n"), ("\n", "\n\n\n")] {
            let text = blocks.iter().map(|block| block.replace('\n', newline) + blank).collect::<String>();
            let packages = read(text.as_bytes());
            assert!(packages.iter().enumerate().all(|(number, it)| it.name == format!("p{number}")));
            assert_eq!(packages.len(), blocks.len());
            let left_out = parse((text.clone() + "P:a\nbad\n").as_bytes()).left_out;
            assert_eq!(left_out[0].line, text.lines().count() + 2);
        }
    }

    #[test]
    fn leaves_out_an_entry_that_cannot_be_read_and_no_other() {
        for (entry, why) in [
            (
                "P:a\nV:1\nnonsense",
                r#"a-1 is left out, because line 6 of the index can't be read: "nonsense" is not a letter, a colon and a value"#,
            ),
            (
                "P:../etc\nV:1",
                r#"../etc-1 is left out, because line 4 of the index can't be read: "../etc" is not a valid name"#,
            ),
            (
                "P:a@edge\nV:1",
                r#"a@edge-1 is left out, because line 4 of the index can't be read: "a@edge" is not a valid name"#,
            ),
            (
                "P:a b\nV:1",
                r#"a b-1 is left out, because line 4 of the index can't be read: "a b" is not a valid name"#,
            ),
            (
                "P:\x1b[2J\nV:1",
                r#"\u{1b}[2J-1 is left out, because line 4 of the index can't be read: "\u{1b}[2J" is not a valid name"#,
            ),
            (
                "P:a\nV:feature/x-r0",
                r#"a-feature/x-r0 is left out, because line 5 of the index can't be read: "feature/x-r0" is not a valid version"#,
            ),
            (
                "P:a\nV:1\nI:-1",
                r#"a-1 is left out, because line 6 of the index can't be read: "-1" is not a valid installed size"#,
            ),
            (
                "P:a\nV:1\nS:",
                r#"a-1 is left out, because line 6 of the index can't be read: "" is not a valid file size"#,
            ),
            (
                "t:\nP:a\nV:1",
                r#"a-1 is left out, because line 4 of the index can't be read: "" is not a valid build time"#,
            ),
            (
                "P:a\nV:1\nC:Q2AAAA",
                r#"a-1 is left out, because line 6 of the index can't be read: "Q2AAAA" is not a checksum: expected Q1 followed by 28 characters of base64"#,
            ),
            (
                "P:a\nV:1\nD:b>=",
                r#"a-1 is left out, because line 6 of the index can't be read: "b>=" is not a dependency: a version must follow ">=""#,
            ),
            (
                "P:a\nV:1\np:b so:x=",
                r#"a-1 is left out, because line 6 of the index can't be read: "so:x=" is not a dependency: a version must follow "=""#,
            ),
            ("P:a", "a is left out, because line 5 of the index can't be read: the entry ends without a version"),
            (
                "V:1",
                "a package without a name is left out, because line 5 of the index can't be read: the entry ends without a name",
            ),
        ] {
            let Listed { packages, left_out } = parse(format!("P:x\nV:1\n\n{entry}\n\nP:y\nV:1\n").as_bytes());
            assert_eq!(packages.iter().map(|it| &*it.name).collect::<Vec<_>>(), ["x", "y"], "{entry}");
            assert_eq!(left_out.iter().map(ToString::to_string).collect::<Vec<_>>(), [why]);
        }
    }

    #[test]
    fn an_entry_that_is_left_out_is_known_by_all_its_names() {
        let left_out = parse(b"P:a\nV:1\nI:x\nC:x\np:b=1 so:c=\np:d\n").left_out;
        assert_eq!(left_out[0].provides, ["d", "b", "so:c"]);
        assert_eq!(left_out[0].line, 3);
    }

    proptest! {
        #[test]
        fn reads_any_bytes(text in "([PVADipCSkT]:[a-z0-9=<>!@ .]{0,9}\r?\n){0,9}") {
            let _ = parse(text.as_bytes());
        }
    }
}
