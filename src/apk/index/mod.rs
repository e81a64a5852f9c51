//! The text of an index, `APKINDEX`: one block of `X:value` lines per package, each followed by a blank line.

mod file;
mod write;

pub use file::{FILE_LIMIT, Index, IndexFileError, SignedIndex, sign_file};
pub use write::text;
pub(super) use write::{block, installed_fields};

use std::borrow::Cow;

use rayon::prelude::*;

use super::{ChecksumError, Dependency, DependencyError, Package, Provide, Version};

/// What is wrong with the text of an index.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// A line is no field.
    #[error("line {line} of the index is not a letter, a colon and a value: {found:?}")]
    NotAField { line: usize, found: String },
    /// A field has an invalid value.
    #[error("line {line} of the index: {found:?} is not a valid {what}")]
    BadValue { line: usize, what: &'static str, found: String },
    /// A dependency, provide, `install_if` or `replaces` can't be read.
    #[error("can't read line {line} of the index")]
    BadDependency { line: usize, source: DependencyError },
    /// A checksum can't be read.
    #[error("can't read line {line} of the index")]
    BadChecksum { line: usize, source: ChecksumError },
    /// A block ends without a field that every package has.
    #[error("the package that ends before line {line} of the index has no {what}")]
    Incomplete { line: usize, what: &'static str },
}

/// Reads the text of an index.
///
/// As lenient as apk: lines may end in CR LF, the last line end may be missing, text need not be UTF-8, fields may
/// repeat (lists are joined, otherwise the last one counts), and unknown fields with a lower-case letter are ignored.
/// An unknown field with an upper-case letter makes its package [unsupported](Package::unsupported).
pub fn parse(text: &[u8]) -> Result<Vec<Package>, IndexError> {
    let parts: Result<Vec<Vec<Package>>, IndexError> = split(text).into_par_iter().map(parse_part).collect();
    match parts {
        Ok(parts) => Ok(parts.into_iter().flatten().collect()),
        // Parse it again in one piece, because parts don't know their line numbers.
        Err(_) => parse_part(text),
    }
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

fn parse_part(text: &[u8]) -> Result<Vec<Package>, IndexError> {
    let mut packages = Vec::new();
    let mut block = Block::default();
    let mut count = 0;
    for (number, line) in text.split(|b| *b == b'\n').enumerate() {
        count = number + 1;
        match line.strip_suffix(b"\r").unwrap_or(line) {
            [] => packages.extend(std::mem::take(&mut block).finish(count)?),
            [field, b':', value @ ..] => block.read(*field, value, count)?,
            line => return Err(IndexError::NotAField { line: count, found: cut(&String::from_utf8_lossy(line)) }),
        }
    }
    packages.extend(block.finish(count + 1)?);
    Ok(packages)
}

/// The package being read.
struct Block {
    package: Package,
    has_name: bool,
    has_version: bool,
    started: bool,
}

impl Default for Block {
    fn default() -> Self {
        let package = Package::new("", Version::any(""), "");
        Self { package, has_name: false, has_version: false, started: false }
    }
}

impl Block {
    fn read(&mut self, field: u8, value: &[u8], line: usize) -> Result<(), IndexError> {
        self.started = true;
        // Much faster than lossy decoding, which is rarely needed.
        let text = &*std::str::from_utf8(value).map_or_else(|_| String::from_utf8_lossy(value), Cow::Borrowed);
        let dependency = |source| IndexError::BadDependency { line, source };
        let bad = |what| IndexError::BadValue { line, what, found: cut(text) };
        let number = |what| text.parse::<u64>().map_err(|_| bad(what));
        let small_number = |what| text.parse::<u32>().map_err(|_| bad(what));
        let package = &mut self.package;
        match field {
            b'P' if is_file_name(text) => (package.name, self.has_name) = (text.into(), true),
            b'P' => return Err(bad("name")),
            b'V' if is_file_name(text) => (package.version, self.has_version) = (Version::any(text), true),
            b'V' => return Err(bad("version")),
            b'A' if is_file_name(text) => package.arch = text.into(),
            b'A' => return Err(bad("architecture")),
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
            b'C' => {
                package.checksum = Some(text.parse().map_err(|source| IndexError::BadChecksum { line, source })?);
            }
            b'D' => package.depends.append(&mut Dependency::parse_list(text).map_err(dependency)?),
            b'i' => package.install_if.append(&mut Dependency::parse_list(text).map_err(dependency)?),
            b'r' => package.replaces.append(&mut Dependency::parse_list(text).map_err(dependency)?),
            b'p' => package.provides.append(&mut Provide::parse_list(text).map_err(dependency)?),
            field if field.is_ascii_uppercase() => package.unsupported = Some(char::from(field)),
            _ => {}
        }
        Ok(())
    }

    fn finish(self, line: usize) -> Result<Option<Package>, IndexError> {
        let missing = |what| Err(IndexError::Incomplete { line, what });
        match (self.started, self.has_name, self.has_version) {
            (false, ..) => Ok(None),
            (_, false, _) => missing("name"),
            (_, _, false) => missing("version"),
            _ => Ok(Some(self.package)),
        }
    }
}

/// Whether `text` may become part of a file name, as names, versions and architectures do.
pub(super) fn is_file_name(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+' | '~' | ':' | ',');
    !text.is_empty() && text.len() <= 200 && text.chars().all(allowed) && !text.starts_with(['.', '-'])
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn cut(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MUSL: &str = "C:Q1qZk+NkcGgWq6PiVxeFDCbJzQ2J0=\nP:musl\nV:1.2.5-r0\nA:x86_64\nS:383152\nI:622592\nT:the musl \
                        c library\n\
        U:https://musl.libc.org/\nL:MIT\no:musl\nm:Jane <jane@example.org>\nt:1711000000\nc:4fe5\nD:!uclibc a>=1\n\
        p:so:libc.musl-x86_64.so.1=1\ni:b c=2\nr:d<3\nq:100\nk:10\n";

    #[test]
    fn reads_every_field() {
        let packages = parse(MUSL.as_bytes()).unwrap();
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
        let names = |text: &[u8]| parse(text).unwrap().into_iter().map(|it| it.name).collect::<Vec<_>>();
        assert_eq!(names(b""), Vec::<String>::new());
        assert_eq!(names(b"\n\n\nP:a\nV:1\n\n\n\nP:b\nV:1"), ["a", "b"]);
        assert_eq!(names(b"P:a\r\nV:1\r\n\r\nP:b\r\nV:1\r\n\r\n"), ["a", "b"]);
        assert_eq!(names(b"P:a\nV:1\n\nP:a\nV:1\n\n"), ["a", "a"]);
        assert_eq!(names(b"P:a\nV:1\nz:what\nT:caf\xe9\n\n"), ["a"]);
    }

    #[test]
    fn repeated_lists_add_up() {
        let packages = parse(b"P:a\nV:1\nV:2\nD:b\nD:c\n").unwrap();
        assert_eq!(packages[0].version.as_str(), "2");
        assert_eq!(packages[0].depends, Dependency::parse_list("b c").unwrap());
    }

    #[test]
    fn an_unknown_upper_case_field_must_be_understood() {
        assert_eq!(parse(b"P:a\nV:1\nX:y\n").unwrap()[0].unsupported, Some('X'));
    }

    /// Long indexes are read in parts, by several threads.
    #[test]
    fn a_long_index_is_read_as_a_short_one() {
        let block = |number: usize| format!("P:p{number}\nV:{number}\nT:{}\n", "x".repeat(number % 97));
        let blocks: Vec<String> = (0..20_000).map(block).collect();
        for (newline, blank) in [("\n", "\n"), ("\r\n", "\r\n"), ("\n", "\n\n\n")] {
            let text = blocks.iter().map(|block| block.replace('\n', newline) + blank).collect::<String>();
            let packages = parse(text.as_bytes()).unwrap();
            assert!(packages.iter().enumerate().all(|(number, it)| it.name == format!("p{number}")));
            assert_eq!(packages.len(), blocks.len());
            let error = parse((text.clone() + "P:a\nbad\n").as_bytes()).unwrap_err().to_string();
            let line = text.lines().count() + 2;
            assert_eq!(error, format!("line {line} of the index is not a letter, a colon and a value: \"bad\""));
        }
    }

    #[test]
    fn says_which_line_is_wrong() {
        for (text, error) in [
            ("P:a\nV:1\nnonsense\n", r#"line 3 of the index is not a letter, a colon and a value: "nonsense""#),
            ("P:../etc\nV:1\n", r#"line 1 of the index: "../etc" is not a valid name"#),
            ("P:a\nV:1/2\n", r#"line 2 of the index: "1/2" is not a valid version"#),
            ("P:a\nV:1\nS:-1\n", r#"line 3 of the index: "-1" is not a valid file size"#),
            ("P:a\n\n", "the package that ends before line 2 of the index has no version"),
            ("V:1\n", "the package that ends before line 2 of the index has no name"),
        ] {
            assert_eq!(parse(text.as_bytes()).unwrap_err().to_string(), error);
        }
    }

    proptest! {
        #[test]
        fn reads_any_bytes(text in "([PVADipCSkT]:[a-z0-9=<>!@ .]{0,9}\r?\n){0,9}") {
            let _ = parse(text.as_bytes());
        }
    }
}
