//! `.PKGINFO`: `key = value` lines.

use std::fmt::Write as _;
use std::str::FromStr;

use crate::apk::index::is_file_name;
use crate::apk::{Dependency, DependencyError, Package, Provide, Version};
use crate::digest::Sha256;

/// What `.PKGINFO` says: the package, and what only concerns its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    /// The package. File size and checksum are not known to it.
    pub package: Package,
    /// SHA-256 of the compressed data member.
    pub data_hash: Option<Sha256>,
    /// Directories at whose change apk runs the trigger script; may hold wildcards.
    pub triggers: Vec<String>,
}

/// What is wrong with a `.PKGINFO`.
#[derive(Debug, thiserror::Error)]
pub enum InfoError {
    /// A field's value can't be what the field says.
    #[error("line {line}: {found:?} can't be the {key}")]
    BadValue {
        /// Which line, from 1.
        line: usize,
        /// The field's key.
        key: &'static str,
        /// The value, cut to a sensible length.
        found: String,
    },
    /// A dependency, provide, `install_if` or `replaces` can't be read.
    #[error("line {line} can't be read")]
    BadDependency {
        /// Which line, from 1.
        line: usize,
        /// What is wrong with it.
        source: DependencyError,
    },
    /// A field that every package has is not there.
    #[error("there is no {key}")]
    Missing {
        /// The field's key.
        key: &'static str,
    },
    /// Nothing ties the files to what is signed.
    #[error("there is no datahash, so that no signature vouches for the files")]
    NoDataHash,
    /// A value to write holds a newline or another control character.
    #[error("the {key} holds a control character: {found:?}")]
    Unwritable {
        /// The field's key.
        key: &'static str,
        /// The value, cut to a sensible length.
        found: String,
    },
}

impl Info {
    /// Reads a `.PKGINFO`, as lenient as apk: unknown keys and whatever is not `key = value`, such as the second line of a
    /// licence, are ignored; lists may be one line or several; of a number its leading digits count.
    pub fn parse(text: &[u8]) -> Result<Self, InfoError> {
        let mut info = Self { package: Package::new("", Version::any(""), ""), data_hash: None, triggers: Vec::new() };
        for (number, line) in text.split(|b| *b == b'\n').enumerate() {
            if !line.starts_with(b"#")
                && let Some((key, value)) = String::from_utf8_lossy(line).split_once(" = ")
            {
                info.read(key, value.trim(), number + 1)?;
            }
        }
        match (&info.package.name, &info.package.version, &info.package.arch) {
            (name, ..) if name.is_empty() => Err(InfoError::Missing { key: "pkgname" }),
            (_, version, _) if version.as_str().is_empty() => Err(InfoError::Missing { key: "pkgver" }),
            (.., arch) if arch.is_empty() => Err(InfoError::Missing { key: "arch" }),
            _ => Ok(info),
        }
    }

    fn read(&mut self, key: &str, value: &str, line: usize) -> Result<(), InfoError> {
        let bad = |key| InfoError::BadValue { line, key, found: cut(value) };
        let file_name = |key| if is_file_name(value) { Ok(value.to_owned()) } else { Err(bad(key)) };
        let dependency = |source| InfoError::BadDependency { line, source };
        let package = &mut self.package;
        match key {
            "pkgname" => package.name = file_name("pkgname")?,
            "pkgver" => package.version = Version::any(&file_name("pkgver")?),
            "arch" => package.arch = file_name("arch")?,
            "pkgdesc" => value.clone_into(&mut package.description),
            "url" => value.clone_into(&mut package.url),
            "license" => value.clone_into(&mut package.license),
            "origin" => package.origin = some(value),
            "maintainer" => package.maintainer = some(value),
            "commit" => package.commit = some(value),
            "builddate" => package.build_time = leading_number(value),
            "size" => package.installed_size = leading_number(value).unwrap_or_default(),
            "depend" => package.depends.extend(Dependency::parse_list(value).map_err(dependency)?),
            "install_if" => package.install_if.extend(Dependency::parse_list(value).map_err(dependency)?),
            // One that can't be read allows nothing.
            "replaces" => package.replaces.extend(value.split_ascii_whitespace().flat_map(str::parse::<Dependency>)),
            "provides" => package.provides.extend(Provide::parse_list(value).map_err(dependency)?),
            "replaces_priority" => package.replaces_priority = leading_number(value),
            "provider_priority" => package.provider_priority = leading_number(value),
            "triggers" => self.triggers.extend(value.split_whitespace().map(str::to_owned)),
            "datahash" => self.data_hash = Some(value.to_ascii_lowercase().parse().map_err(|_| bad("datahash"))?),
            _ => {}
        }
        Ok(())
    }

    /// Writes it, always in the same order.
    pub fn write(&self) -> Result<String, InfoError> {
        let mut out = Lines { text: "# Generated by mailimg\n".to_owned() };
        let package = &self.package;
        out.field("pkgname", &package.name)?;
        out.field("pkgver", package.version.as_str())?;
        out.field("pkgdesc", &package.description)?;
        out.field("url", &package.url)?;
        out.optional("builddate", package.build_time.as_ref())?;
        out.field("size", &package.installed_size.to_string())?;
        out.field("arch", &package.arch)?;
        out.optional("origin", package.origin.as_ref())?;
        out.optional("commit", package.commit.as_ref())?;
        out.optional("maintainer", package.maintainer.as_ref())?;
        out.field("license", &package.license)?;
        out.optional("replaces_priority", package.replaces_priority.as_ref())?;
        out.optional("provider_priority", package.provider_priority.as_ref())?;
        out.each("replaces", &package.replaces)?;
        out.each("depend", &package.depends)?;
        out.each("provides", &package.provides)?;
        // All of these together, so one line.
        out.joined("install_if", &package.install_if)?;
        out.joined("triggers", &self.triggers)?;
        out.optional("datahash", self.data_hash.as_ref())?;
        Ok(out.text)
    }
}

struct Lines {
    text: String,
}

impl Lines {
    fn field(&mut self, key: &'static str, value: &str) -> Result<(), InfoError> {
        if value.chars().any(char::is_control) {
            return Err(InfoError::Unwritable { key, found: cut(value) });
        }
        // Writing to a string does not fail.
        let _ = writeln!(self.text, "{key} = {value}");
        Ok(())
    }

    fn optional(&mut self, key: &'static str, value: Option<&impl ToString>) -> Result<(), InfoError> {
        value.map_or(Ok(()), |value| self.field(key, &value.to_string()))
    }

    fn each(&mut self, key: &'static str, values: &[impl ToString]) -> Result<(), InfoError> {
        values.iter().try_for_each(|value| self.field(key, &value.to_string()))
    }

    fn joined(&mut self, key: &'static str, values: &[impl ToString]) -> Result<(), InfoError> {
        let values: Vec<_> = values.iter().map(ToString::to_string).collect();
        if values.is_empty() { Ok(()) } else { self.field(key, &values.join(" ")) }
    }
}

fn leading_number<T: FromStr>(text: &str) -> Option<T> {
    let end = text.bytes().position(|b| !b.is_ascii_digit()).unwrap_or(text.len());
    text.get(..end)?.parse().ok()
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

    const HEAD: &str = "pkgname = web\npkgver = 1-r0\narch = x86_64\n";

    fn parse(rest: &str) -> Info {
        Info::parse((HEAD.to_owned() + rest).as_bytes()).unwrap()
    }

    /// A package of Alpine 3.13 has the licence so.
    #[test]
    fn what_is_no_field_is_ignored() {
        let info =
            parse("# size = 7\nlicense = MIT\nBSD-3-Clause\n\n \norigin=other\nurl\t=\thttp://x\n size = 5\nxyz = 1\n");
        assert_eq!((info.package.license.as_str(), info.package.installed_size), ("MIT", 0));
        assert_eq!((info.package.origin, info.package.url), (None, String::new()));
        assert_eq!(parse("pkgdesc = a = b\r\n").package.description, "a = b");
        assert_eq!(parse("commit =\nmaintainer = \n").package.maintainer, None);
    }

    #[test]
    fn of_numbers_the_leading_digits_count() {
        for (text, number) in [("7", 7), ("102400 # a guess", 102_400), ("", 0), ("-1", 0), ("1.5", 1), ("many", 0)] {
            assert_eq!(parse(&format!("size = {text}\n")).package.installed_size, number, "{text}");
        }
        let info = parse("builddate = yesterday\nprovider_priority = high\nreplaces_priority = 99999999999\n");
        let Package { build_time, provider_priority, replaces_priority, .. } = info.package;
        assert_eq!((build_time, provider_priority, replaces_priority), (None, None, None));
    }

    #[test]
    fn what_decides_must_be_right() {
        for (text, error) in [
            ("pkgver = 1/2", r#"line 4: "1/2" can't be the pkgver"#),
            ("datahash = abc", r#"line 4: "abc" can't be the datahash"#),
            ("depend = foo>=", "line 4 can't be read"),
            ("provides = so:x=", "line 4 can't be read"),
            ("install_if = !", "line 4 can't be read"),
        ] {
            assert_eq!(Info::parse((HEAD.to_owned() + text).as_bytes()).unwrap_err().to_string(), error);
        }
        assert_eq!(Info::parse(b"pkgname=web\n").unwrap_err().to_string(), "there is no pkgname");
        assert_eq!(parse("replaces = foo>= bar\n").package.replaces, [Dependency::on("bar")]);
        let hash = "AB".repeat(32);
        assert_eq!(parse(&format!("datahash = {hash}\n")).data_hash, hash.to_lowercase().parse().ok());
    }

    proptest! {
        #[test]
        fn reads_any_text(text in "((pkgname|size|depend|triggers|datahash|x)( = |=| )[a-z0-9<=>!. ]{0,9}\r?\n){0,9}") {
            let _ = Info::parse(text.as_bytes());
        }

        #[test]
        fn reads_what_it_wrote(
            name in "[a-z][a-z0-9]{0,9}",
            text in "[a-zé =#]{0,20}",
            numbers in any::<(Option<u64>, u64, Option<u32>)>(),
        ) {
            let mut package = Package::new(name, "1-r0".parse().unwrap(), "noarch");
            package.description = text.trim().to_owned();
            (package.build_time, package.installed_size, package.replaces_priority) = numbers;
            let info = Info { package, data_hash: None, triggers: Vec::new() };
            prop_assert_eq!(Info::parse(info.write().unwrap().as_bytes()).unwrap(), info);
        }
    }
}
