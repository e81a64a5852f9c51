use std::collections::BTreeMap;

use crate::apk::package::Member;
use crate::apk::{Checksum, Dependency, Version};
use crate::config::{Group, Import, User};
use crate::digest::Sha256;
use crate::timestamp::Timestamp;

/// Everything that decides which packages an image holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    /// Name of the channel.
    pub channel: String,
    /// Architecture in apk's words.
    pub arch: String,
    /// Repositories in the channel's order.
    pub repositories: Vec<LockedRepository>,
    /// Keys whose signatures were found good on indexes and packages: file name to the SHA-256 of the key file. None for
    /// an imported channel.
    pub keys: BTreeMap<String, Sha256>,
    /// Requested dependencies, sorted.
    pub world: Vec<Dependency>,
    /// The recipe's groups, in its order.
    pub groups: Vec<Group>,
    /// The recipe's accounts, in its order.
    pub users: Vec<User>,
    /// The packages in the order in which apk would install them.
    pub packages: Vec<LockedPackage>,
}

/// A repository as it was when the lock was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedRepository {
    /// Its name in the channel.
    pub name: String,
    /// Where it is.
    pub place: Place,
}

/// Where a repository is, and what its index was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// On a server or in a directory that everyone reads.
    Shared {
        /// As the channel writes it.
        url: String,
        /// Its tag, if its packages are taken only for `name@tag`.
        tag: Option<String>,
        /// SHA-256 of `APKINDEX.tar.gz`.
        index: Sha256,
        /// When the newest package in it was built.
        date: Timestamp,
    },
    /// Made on each machine: neither its place nor its index nor its key is the same twice, but its packages are.
    Imported(Import),
}

/// One package, and everything that is checked about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedPackage {
    /// Name.
    pub name: String,
    /// Version.
    pub version: Version,
    /// Architecture as the index has it, which is what apk writes into the installed database. Packages that fit all
    /// (`noarch`) have the machine's in Alpine's indexes.
    pub arch: String,
    /// Source package; the name if it names none.
    pub origin: String,
    /// Name of the repository it came from.
    pub repository: String,
    /// File name in the repository.
    pub file: String,
    /// Bytes of the file.
    pub size: u64,
    /// SHA-256 of the file.
    pub sha256: Sha256,
    /// The members with its signatures: one as a rule, none in imported packages.
    pub signatures: Vec<Member>,
    /// The member with metadata and scripts, which the signature signs.
    pub control: Member,
    /// The member with the files. Its SHA-256 is the `datahash` that the control member names.
    pub data: Member,
    /// SHA-256 of the data member, uncompressed: the `diff_id` of an image layer made of it.
    pub diff_id: Sha256,
    /// Bytes of the data member, uncompressed.
    pub unpacked: u64,
    /// apk's own checksum: the SHA-1 of the control member.
    pub checksum: Checksum,
    /// When it was built.
    pub built: Timestamp,
    /// Its licence as it states it; empty if it doesn't.
    pub license: String,
    /// What an imported package was made of.
    pub debs: Vec<Deb>,
    /// Its scripts, sorted by name. They are never run; see `scripts.toml` of the channel.
    pub scripts: Vec<Script>,
}

/// A Debian package of which an imported package was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deb {
    /// Name.
    pub name: String,
    /// Debian's version in full.
    pub version: String,
    /// SHA-256 of the .deb, as Debian's signed lists have it.
    pub sha256: Sha256,
}

/// A script of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// `pre-install`, `post-install`, `trigger`, ….
    pub name: String,
    /// SHA-256 of its text.
    pub sha256: Sha256,
}

impl Lock {
    /// The package of that name.
    #[must_use]
    pub fn package(&self, name: &str) -> Option<&LockedPackage> {
        self.packages.iter().find(|package| package.name == name)
    }

    /// When the newest of the packages was built: the time that an image made from this lock carries.
    #[must_use]
    pub fn newest(&self) -> Timestamp {
        self.packages.iter().map(|package| package.built).max().unwrap_or(Timestamp::from_unix(0))
    }
}
