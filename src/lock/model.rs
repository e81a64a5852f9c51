use std::collections::BTreeMap;
use std::fmt;

use crate::apk::package::Member;
use crate::apk::{Checksum, Dependency, Version};
use crate::config::{Group, Import, User};
use crate::digest::Sha256;
use crate::timestamp::Timestamp;

/// Everything that determines an image's packages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    pub channel: String,
    /// The architecture, as apk names it.
    pub arch: String,
    /// Repositories in the channel's order.
    pub repositories: Vec<LockedRepository>,
    /// The keys with valid signatures on indexes and packages: file name to the SHA-256 of the key file. Empty for an
    /// imported channel.
    pub keys: BTreeMap<String, Sha256>,
    /// Requested dependencies, sorted.
    pub world: Vec<Dependency>,
    /// The recipe's groups, in its order.
    pub groups: Vec<Group>,
    /// The recipe's accounts, in its order.
    pub users: Vec<User>,
    /// The packages, in apk's order of installation.
    pub packages: Vec<LockedPackage>,
}

/// A repository at the time of locking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedRepository {
    /// Its name in the channel.
    pub name: String,
    pub place: Place,
}

/// A repository's location and index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// On a server, or in a shared directory.
    Shared {
        /// As written in the channel.
        url: String,
        /// Its tag, if its packages are used only for `name@tag`.
        tag: Option<String>,
        /// SHA-256 of `APKINDEX.tar.gz`.
        index: Sha256,
        /// The build time of its newest package.
        date: Timestamp,
    },
    /// Made on each machine: location, index and key differ, but the packages are the same.
    Imported(Import),
}

/// A package, and everything that is checked about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedPackage {
    pub name: String,
    pub version: Version,
    /// The architecture in the index, which apk also writes into the installed database. In Alpine's indexes, `noarch`
    /// packages have the machine's architecture.
    pub arch: String,
    /// The source package, or its own name if it states none.
    pub origin: String,
    pub repository: String,
    /// File name in the repository.
    pub file: String,
    /// Bytes of the file.
    pub size: u64,
    /// SHA-256 of the file.
    pub sha256: Sha256,
    /// The signature members: usually one, none for imported packages.
    pub signatures: Vec<Member>,
    /// The signed member with metadata and scripts.
    pub control: Member,
    /// The member with the files. Its SHA-256 is the `datahash` in the control member.
    pub data: Member,
    /// The SHA-256 of the uncompressed data member: the `diff_id` of its verbatim layer.
    pub diff_id: Sha256,
    /// Bytes of the data member, uncompressed.
    pub unpacked: u64,
    /// apk's checksum: the SHA-1 of the control member.
    pub checksum: Checksum,
    /// When it was built.
    pub built: Timestamp,
    /// Its licence, or empty if it states none.
    pub license: String,
    /// What an imported package was made from.
    pub debs: Vec<Deb>,
    /// Its scripts, sorted by name. They are never run; see the channel's `scripts.toml`.
    pub scripts: Vec<Script>,
}

/// A Debian package from which an imported package was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deb {
    pub name: String,
    pub version: String,
    /// The SHA-256 of the .deb, from Debian's signed lists.
    pub sha256: Sha256,
}

/// A package's version, which is also shown as its distribution writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edition {
    /// apk's version. Editions are compared by it.
    pub version: Version,
    shown: String,
}

impl fmt::Display for Edition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

/// A script of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// `pre-install`, `post-install`, `trigger`, ….
    pub name: String,
    /// SHA-256 of its text.
    pub sha256: Sha256,
}

impl LockedPackage {
    /// The version; of an imported package it is shown as Debian writes it.
    #[must_use]
    pub fn edition(&self) -> Edition {
        let shown = match &self.debs[..] {
            [deb] => deb.version.clone(),
            _ => self.version.to_string(),
        };
        Edition { version: self.version.clone(), shown }
    }
}

impl Lock {
    /// The package of that name.
    #[must_use]
    pub fn package(&self, name: &str) -> Option<&LockedPackage> {
        self.packages.iter().find(|package| package.name == name)
    }

    /// The build time of the newest package, which is the creation time of images built from this lock.
    #[must_use]
    pub fn newest(&self) -> Timestamp {
        self.packages.iter().map(|package| package.built).max().unwrap_or(Timestamp::from_unix(0))
    }
}
