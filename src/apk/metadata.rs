use super::{Checksum, Dependency, Provide, Version};

/// A package's metadata: the fields that `.PKGINFO` and index blocks have in common.
///
/// An index block names each field by one letter (`P:`, `V:`, …), `.PKGINFO` by a word (`pkgname = …`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// `P:` or `pkgname`.
    pub name: String,
    /// `V:` or `pkgver`.
    pub version: Version,
    /// `A:` or `arch`; `noarch` fits all architectures.
    pub arch: String,
    /// A one-line description, `T:` or `pkgdesc`. Bytes that aren't UTF-8 are replaced.
    pub description: String,
    /// Home page, `U:` or `url`.
    pub url: String,
    /// SPDX expression, `L:` or `license`. Free text in older packages.
    pub license: String,
    /// Name of the source package, `o:` or `origin`.
    pub origin: Option<String>,
    /// `m:` or `maintainer`.
    pub maintainer: Option<String>,
    /// Seconds since 1970 at which it was built, `t:` or `builddate`.
    pub build_time: Option<u64>,
    /// The commit of the build recipe, `c:` or `commit`.
    pub commit: Option<String>,
    /// Bytes on disk once installed, `I:` or `size`.
    pub installed_size: u64,
    /// Requirements and, with `!`, conflicts, `D:` or `depend`.
    pub depends: Vec<Dependency>,
    /// Other names by which it can be required, `p:` or `provides`.
    pub provides: Vec<Provide>,
    /// It is installed automatically once all of these are, `i:` or `install_if`.
    pub install_if: Vec<Dependency>,
    /// Packages whose files it may overwrite, `r:` or `replaces`.
    pub replaces: Vec<Dependency>,
    /// Which of several owners of one file wins, `q:` or `replaces_priority`.
    pub replaces_priority: Option<u32>,
    /// Which provider of one name wins, `k:` or `provider_priority`.
    pub provider_priority: Option<u32>,
    /// Bytes of the package file. `S:`, only in an index.
    pub file_size: Option<u64>,
    /// SHA-1 of the compressed control member. `C:`, only in an index and in the installed database.
    pub checksum: Option<Checksum>,
    /// An unknown index field whose upper-case letter says that readers must understand it. Such a package can't be
    /// installed.
    pub unsupported: Option<char>,
}

impl Package {
    /// A package with nothing but these fields.
    #[must_use]
    pub fn new(name: impl Into<String>, version: Version, arch: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            version,
            arch: arch.into(),
            description: String::new(),
            url: String::new(),
            license: String::new(),
            origin: None,
            maintainer: None,
            build_time: None,
            commit: None,
            installed_size: 0,
            depends: Vec::new(),
            provides: Vec::new(),
            install_if: Vec::new(),
            replaces: Vec::new(),
            replaces_priority: None,
            provider_priority: None,
            file_size: None,
            checksum: None,
            unsupported: None,
        }
    }
}
