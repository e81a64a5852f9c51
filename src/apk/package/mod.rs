//! Package files (`.apk`, format v2): up to three gzip members, each of them a tar archive.
//!
//! 1. *Signatures*: `.SIGN.RSA.<key>` and the like, each signing the compressed bytes of the next member.
//! 2. *Control*: `.PKGINFO` and scripts. Its SHA-1 is the checksum by which indexes name the package.
//! 3. *Data*: the files. `.PKGINFO` holds the SHA-256 of its compressed bytes as `datahash`, so that the signature
//!    vouches for the files as well.
//!
//! A signature of the control member thus covers everything except the signature member itself.
//!
//! Accepted: several consecutive gzip streams of data (`datahash` covers all of them, and [`Measured::data_streams`]
//! counts them); archives without end-of-archive blocks, as abuild cuts them off. Rejected: anything but gzip streams
//! after control, even zeros; packages without `datahash` or data; format v3.

mod error;
mod files;
#[cfg(test)]
pub(crate) mod fixture;
mod info;
mod read;
mod source;
mod write;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use error::PackageError;
pub use files::{EntryId, Listing, PackageEntry, PackageFiles, READ_LIMIT, is_read};
pub use info::{Info, InfoError};
pub use read::{DataReader, Head, PackageReader, Unparsed};
pub use source::DATA_LIMIT;
pub use write::{PackageWriter, WriteError, Written};

use super::{Checksum, Package};
use crate::digest::Sha256;

/// The content of a package's control member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Control {
    /// The fields of `.PKGINFO`, with the checksum of this member.
    pub package: Package,
    /// The SHA-256 of the data member, according to `.PKGINFO`.
    pub data_hash: Sha256,
    /// The directories that trigger the script when they change; may contain wildcards.
    pub triggers: Vec<String>,
    /// Scripts, in the package's order.
    pub scripts: Vec<Script>,
    /// The unchanged `.PKGINFO`, with comments and unknown fields.
    pub pkginfo: Vec<u8>,
}

/// A script that apk would run, but mailimg never does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// When apk would run it.
    pub kind: ScriptKind,
    /// Its text, usually a shell script.
    pub text: Vec<u8>,
}

/// When apk runs a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ScriptKind {
    /// Before the files of a first installation.
    PreInstall,
    /// After a first installation.
    PostInstall,
    PreDeinstall,
    PostDeinstall,
    /// Before the files of a newer version.
    PreUpgrade,
    /// After the files of a newer version.
    PostUpgrade,
    /// After a transaction that changed one of the package's trigger directories.
    Trigger,
}

impl ScriptKind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::PreInstall,
        Self::PostInstall,
        Self::PreDeinstall,
        Self::PostDeinstall,
        Self::PreUpgrade,
        Self::PostUpgrade,
        Self::Trigger,
    ];

    /// The name in apk's documentation: `post-install`. In a package it has a leading dot.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PreInstall => "pre-install",
            Self::PostInstall => "post-install",
            Self::PreDeinstall => "pre-deinstall",
            Self::PostDeinstall => "post-deinstall",
            Self::PreUpgrade => "pre-upgrade",
            Self::PostUpgrade => "post-upgrade",
            Self::Trigger => "trigger",
        }
    }

    /// The kind of script in a file of the control member, if it is one.
    #[must_use]
    pub fn from_file_name(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| name.strip_prefix(b".") == Some(kind.as_str().as_bytes()))
    }
}

impl fmt::Display for ScriptKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A part of a package file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its offset in the file.
    pub offset: u64,
    /// Its compressed bytes.
    pub size: u64,
    /// SHA-256 of its compressed bytes.
    pub sha256: Sha256,
}

/// What is known about a package file after reading it to the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measured {
    /// Bytes of the file.
    pub size: u64,
    /// The SHA-256 of the file, if requested.
    pub sha256: Option<Sha256>,
    /// Signature members: known tools write none or one.
    pub signatures: Vec<Member>,
    pub control: Member,
    /// The data member, whose SHA-256 matches `.PKGINFO`.
    pub data: Member,
    /// The number of gzip streams in the data member, normally one.
    pub data_streams: u32,
    /// The SHA-256 of the uncompressed data (the diff id of an OCI layer), if requested.
    pub diff_id: Option<Sha256>,
    /// Bytes of the uncompressed data.
    pub diff_size: u64,
    /// Whether the data ends with end-of-archive blocks.
    pub ends_with_blocks: bool,
    /// Whether all entries of data are of kinds that every archive reader supports; see
    /// [`Entries::is_portable`](super::tar::Entries::is_portable).
    pub portable: bool,
    /// The SHA-1 of the control member, by which indexes identify the package.
    pub checksum: Checksum,
}

#[cfg(test)]
mod tests;
