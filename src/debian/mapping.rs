//! The mapping, `apk-locks/<channel>/import.toml`: what can't be read from Debian's packages.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use serde::Deserialize;

use super::{ImportError, glob};
use crate::apk::Provide;
use crate::config::{AbsolutePath, ConfigError, Directory, Files, Link, Mode, TOML_LIMIT, read_toml};

/// The packages to import, and what replaces their maintainer scripts, dependencies and names.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Mapping {
    /// Debian's name for the release: `trixie`.
    pub suite: String,
    /// The package that all others depend on, with the root's directories and links.
    pub base: String,
    /// The packages to import, by Debian's names. Their dependencies come with them.
    pub roots: Vec<String>,
    /// Paths to leave out of every package. `*` matches anything but a slash, `**` anything; a trailing slash means
    /// everything below.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// Exceptions from `exclude`.
    #[serde(default)]
    pub include: Vec<String>,
    /// The ids of users that own files, as pinned in recipes.
    #[serde(default)]
    pub users: BTreeMap<String, u32>,
    /// The ids of groups that own files.
    #[serde(default)]
    pub groups: BTreeMap<String, u32>,
    /// SPDX expressions for short licence names in Debian's copyright files.
    #[serde(default)]
    pub licenses: BTreeMap<String, String>,
    /// Changes to packages, by Debian's names.
    #[serde(default)]
    pub package: BTreeMap<String, PackageRule>,
}

/// Changes to one package.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct PackageRule {
    /// Its name in the repository; Debian's by default.
    pub name: Option<String>,
    /// Packages, by Debian's names, that it needs although its programs don't link their libraries.
    pub depends: Vec<String>,
    /// Further names that it provides, in apk's notation.
    #[serde(deserialize_with = "provides")]
    pub provides: Vec<Provide>,
    /// SPDX expression, where the copyright file is not machine-readable.
    pub license: Option<String>,
    /// Further paths to leave out.
    pub exclude: Vec<String>,
    /// Libraries of its plugins that may be missing.
    pub ignore_libraries: Vec<String>,
    /// Directories to create or change.
    #[serde(rename = "directory")]
    pub directories: Vec<Directory>,
    /// Files to create or change.
    #[serde(rename = "file")]
    pub files: Vec<FileRule>,
    /// Symbolic links to create.
    #[serde(rename = "link")]
    pub links: Vec<Link>,
}

/// A file to create or change.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "FileRuleText")]
pub struct FileRule {
    pub path: AbsolutePath,
    pub mode: u32,
    pub owner: String,
    pub group: String,
    /// The source of a new file; `None` for an existing file.
    pub made: Option<Made>,
}

/// The source of a new file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Made {
    Content(String),
    /// The concatenation of these files of the package, sorted by path, with texts replaced.
    Concat {
        /// Their paths, a pattern as in `exclude`.
        pattern: String,
        /// Old text to new.
        replace: BTreeMap<String, String>,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct FileRuleText {
    path: AbsolutePath,
    #[serde(default)]
    mode: Option<Mode>,
    #[serde(default = "root")]
    owner: String,
    #[serde(default = "root")]
    group: String,
    #[serde(default)]
    content: Option<String>,
    #[serde(default)]
    concat: Option<String>,
    #[serde(default)]
    replace: BTreeMap<String, String>,
}

fn root() -> String {
    "root".to_owned()
}

impl TryFrom<FileRuleText> for FileRule {
    type Error = String;

    fn try_from(text: FileRuleText) -> Result<Self, String> {
        let FileRuleText { path, mode, owner, group, content, concat, replace } = text;
        let source = match (content, concat) {
            (Some(_), Some(_)) => return Err(format!("{path} has both content and concat; use only one")),
            (_, None) if !replace.is_empty() => return Err(format!("{path} has replace without concat")),
            (Some(content), None) => Some(Made::Content(content)),
            (None, Some(pattern)) => Some(Made::Concat { pattern, replace }),
            (None, None) => None,
        };
        let bits = match (mode, &source) {
            (Some(mode), _) => mode.bits(),
            (None, Some(_)) => 0o644,
            (None, None) => return Err(format!("{path} needs mode, content or concat")),
        };
        Ok(Self { path, mode: bits, owner, group, made: source })
    }
}

fn provides<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<Provide>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    texts.iter().map(|text| text.parse().map_err(serde::de::Error::custom)).collect()
}

impl Mapping {
    /// Reads and checks the file.
    pub fn open(files: &Files, file: &Utf8Path) -> Result<Self, ConfigError> {
        read_toml(files, file)
    }

    /// The file for `suite` among the project's `apk-locks/*/import.toml`.
    pub fn find(project: &Files, suite: &str) -> Result<Utf8PathBuf, ImportError> {
        let mut known = Vec::new();
        let channels = project.root().join("apk-locks");
        for (file, text) in mappings(project, &channels)? {
            // Mistakes in the rest are reported when the file is used.
            let SuiteOf { suite: found } = toml::from_str(&text).unwrap_or_default();
            if found == suite {
                return Ok(file);
            }
            known.push(format!("{found} in {file}"));
        }
        Err(ImportError::NoMapping { channels, suite: suite.to_owned(), known })
    }

    /// The changes to a package, by Debian's name.
    #[must_use]
    pub fn rule(&self, name: &str) -> Option<&PackageRule> {
        self.package.get(name)
    }

    /// The name of a Debian package in the repository.
    #[must_use]
    pub fn apk_name<'a>(&'a self, name: &'a str) -> &'a str {
        self.rule(name).and_then(|rule| rule.name.as_deref()).unwrap_or(name)
    }

    /// Whether a path of a package, without a leading slash, is imported.
    #[must_use]
    pub fn keeps(&self, package: &str, path: &str) -> bool {
        let any = |patterns: &[String]| patterns.iter().any(|pattern| glob::matches(pattern, path));
        if self.rule(package).is_some_and(|rule| any(&rule.exclude)) {
            return false;
        }
        !any(&self.exclude) || any(&self.include)
    }
}

/// The part of a mapping that says what it is for.
#[derive(Default, Deserialize)]
#[serde(default)]
struct SuiteOf {
    suite: String,
}

/// All `<channels>/*/import.toml` with their texts, sorted. Without a directory of channels there are none.
fn mappings(project: &Files, channels: &Utf8Path) -> Result<Vec<(Utf8PathBuf, String)>, ConfigError> {
    let mut mappings = Vec::new();
    for (directory, _) in project.list(channels).unwrap_or_default() {
        let file = directory.join("import.toml");
        match project.read_text(&file, TOML_LIMIT) {
            Ok(text) => mappings.push((file, text)),
            Err(error) if error.is_missing() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(mappings)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: &str = "suite = \"trixie\"\nbase = \"base-files\"\nroots = [\"postfix\"]\n";

    fn parse(rest: &str) -> Result<Mapping, String> {
        let directory = tempfile::tempdir().unwrap();
        let file = Utf8Path::from_path(directory.path()).unwrap().join("import.toml");
        std::fs::write(&file, format!("{START}{rest}")).unwrap();
        Mapping::open(&Files::open(file.parent().unwrap()).unwrap(), &file).map_err(|error| error.to_string())
    }

    #[test]
    fn reads_rules() {
        let mapping = parse(
            "exclude = [\"usr/share/doc/\"]\ninclude = [\"usr/share/doc/*/copyright\"]\n\
             [package.clamav-freshclam]\nname = \"freshclam\"\nexclude = [\"etc/network/\"]\n\
             [[package.clamav-freshclam.file]]\npath = \"/usr/bin/freshclam\"\nmode = \"2755\"\n",
        )
        .unwrap();
        assert_eq!(mapping.apk_name("clamav-freshclam"), "freshclam");
        assert_eq!(mapping.apk_name("postfix"), "postfix");
        assert_eq!(mapping.rule("clamav-freshclam").unwrap().files[0].mode, 0o2755);
        assert!(mapping.keeps("postfix", "usr/bin/a"));
        assert!(!mapping.keeps("postfix", "usr/share/doc/postfix/README"));
        assert!(mapping.keeps("postfix", "usr/share/doc/postfix/copyright"));
        assert!(!mapping.keeps("clamav-freshclam", "etc/network/if-up.d/freshclam"));
    }

    #[test]
    fn errors_name_file_line_and_key() {
        for (text, line, expected) in [
            ("colour = 1\n", 4, "colour"),
            ("[package.a]\nnmae = \"b\"\n", 5, "nmae"),
            ("\n[[package.a.file]]\npath = \"/a\"\nmode = \"9\"\n", 7, "octal"),
            ("[[package.a.link]]\npath = \"a\"\ntarget = \"b\"\n", 5, "absolute path"),
            ("[[package.a.file]]\npath = \"/a/../b\"\nmode = \"0644\"\n", 5, "absolute path"),
            ("[[package.a.file]]\npath = \"/a\"\n", 4, "needs mode"),
            ("[[package.a.file]]\npath = \"/a\"\ncontent = \"\"\nconcat = \"b\"\n", 4, "both content and concat"),
            ("[package.a]\nprovides = [\"=1\"]\n", 5, "package.a"),
            ("[users]\npostfix = \"x\"\n", 5, "invalid type"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(&format!("import.toml:{line}:")), "{error} lacks line {line}");
            assert!(error.contains(expected), "{error} lacks {expected}");
        }
    }
}
