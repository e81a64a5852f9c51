//! `.PKGINFO`: `key = value` lines.

use std::fmt::Write as _;

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
    /// A line is no field.
    #[error("line {line} is not `key = value`: {found:?}")]
    NotAField {
        /// Which line, from 1.
        line: usize,
        /// The line, cut to a sensible length.
        found: String,
    },
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
    /// Reads a `.PKGINFO`. Comments and unknown keys are ignored, as apk does; lists may be one line or several.
    pub fn parse(text: &[u8]) -> Result<Self, InfoError> {
        let mut info = Self { package: Package::new("", Version::any(""), ""), data_hash: None, triggers: Vec::new() };
        for (number, line) in text.split(|b| *b == b'\n').enumerate() {
            let line = String::from_utf8_lossy(line);
            let line = line.trim_end_matches('\r');
            if !line.trim().is_empty() && !line.starts_with('#') {
                info.read(line, number + 1)?;
            }
        }
        match (&info.package.name, &info.package.version, &info.package.arch) {
            (name, ..) if name.is_empty() => Err(InfoError::Missing { key: "pkgname" }),
            (_, version, _) if version.as_str().is_empty() => Err(InfoError::Missing { key: "pkgver" }),
            (.., arch) if arch.is_empty() => Err(InfoError::Missing { key: "arch" }),
            _ => Ok(info),
        }
    }

    fn read(&mut self, text: &str, line: usize) -> Result<(), InfoError> {
        let (key, value) = text.split_once('=').ok_or_else(|| InfoError::NotAField { line, found: cut(text) })?;
        let value = value.trim();
        let bad = |key| InfoError::BadValue { line, key, found: cut(value) };
        let file_name = |key| if is_file_name(value) { Ok(value.to_owned()) } else { Err(bad(key)) };
        let number = |key| value.parse::<u64>().map_err(|_| bad(key));
        let small = |key| value.parse::<u32>().map_err(|_| bad(key));
        let dependency = |source| InfoError::BadDependency { line, source };
        let package = &mut self.package;
        match key.trim() {
            "pkgname" => package.name = file_name("pkgname")?,
            "pkgver" => package.version = Version::any(&file_name("pkgver")?),
            "arch" => package.arch = file_name("arch")?,
            "pkgdesc" => value.clone_into(&mut package.description),
            "url" => value.clone_into(&mut package.url),
            "license" => value.clone_into(&mut package.license),
            "origin" => package.origin = some(value),
            "maintainer" => package.maintainer = some(value),
            "commit" => package.commit = some(value),
            "builddate" => package.build_time = Some(number("builddate")?),
            "size" => package.installed_size = number("size")?,
            "depend" => package.depends.extend(Dependency::parse_list(value).map_err(dependency)?),
            "install_if" => package.install_if.extend(Dependency::parse_list(value).map_err(dependency)?),
            "replaces" => package.replaces.extend(Dependency::parse_list(value).map_err(dependency)?),
            "provides" => package.provides.extend(Provide::parse_list(value).map_err(dependency)?),
            "replaces_priority" => package.replaces_priority = Some(small("replaces_priority")?),
            "provider_priority" => package.provider_priority = Some(small("provider_priority")?),
            "triggers" => self.triggers.extend(value.split_whitespace().map(str::to_owned)),
            "datahash" => self.data_hash = Some(value.parse().map_err(|_| bad("datahash"))?),
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

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn cut(text: &str) -> String {
    text.chars().take(80).collect()
}
