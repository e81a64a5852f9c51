//! Package files (`.apk`, format v2): up to three gzip members, each a tar archive.
//!
//! 1. *Signatures*: `.SIGN.RSA.<key>` and the like, each signing the compressed bytes of the next member.
//! 2. *Control*: `.PKGINFO` and scripts. Its SHA-1 is the checksum by which indexes name the package.
//! 3. *Data*: the files. `.PKGINFO` holds the SHA-256 of its compressed bytes as `datahash`, so that the signature vouches
//!    for the files as well.
//!
//! A signature of control is thus enough for all of it but the signature member itself, which
//! [`signature`](super::signature) checks in its own way.
//!
//! What is accepted: data may be several gzip streams one after the other (`datahash` is that of all of them together, and
//! [`Measured::data_streams`] counts them); the archive of control may lack its end-of-archive blocks, as abuild cuts
//! them, and so may data's. What is refused: anything but gzip streams after control, zeros included; a package without
//! `datahash` or without data; format v3.

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
pub use read::{DataReader, PackageReader};
pub use source::DATA_LIMIT;
pub use write::{PackageWriter, WriteError, Written};

use super::{Checksum, Package};
use crate::digest::Sha256;

/// What the control member of a package holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Control {
    /// `.PKGINFO` as fields. The package's checksum is that of the member just read.
    pub package: Package,
    /// What `.PKGINFO` says the SHA-256 of the data member is.
    pub data_hash: Sha256,
    /// Directories at whose change apk runs the trigger script; may hold wildcards.
    pub triggers: Vec<String>,
    /// Scripts, in the order in which they are packed.
    pub scripts: Vec<Script>,
    /// `.PKGINFO` as it is, with comments and fields that are not known here.
    pub pkginfo: Vec<u8>,
}

/// A program that apk would run; mailimg never does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// When apk would run it.
    pub kind: ScriptKind,
    /// Its text; mostly of a shell script.
    pub text: Vec<u8>,
}

/// When apk runs a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ScriptKind {
    /// Before the files of a first installation.
    PreInstall,
    /// After a first installation.
    PostInstall,
    /// Before removal.
    PreDeinstall,
    /// After removal.
    PostDeinstall,
    /// Before the files of a newer version.
    PreUpgrade,
    /// After the files of a newer version.
    PostUpgrade,
    /// Whenever a transaction has changed one of the package's trigger directories.
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

    /// The name that apk's documentation uses: `post-install`. In a package a dot precedes it.
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

    /// The script that a file of the control member is, if it is one.
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
    /// Where it begins in the file.
    pub offset: u64,
    /// Its compressed bytes.
    pub size: u64,
    /// SHA-256 of its compressed bytes.
    pub sha256: Sha256,
}

/// What is known of a package file once all of it has been read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measured {
    /// Bytes of the file.
    pub size: u64,
    /// SHA-256 of the file, if it was asked for.
    pub sha256: Option<Sha256>,
    /// Signature members: none or one, as far as known tools write them.
    pub signatures: Vec<Member>,
    /// The control member.
    pub control: Member,
    /// The data member; its SHA-256 is what `.PKGINFO` says.
    pub data: Member,
    /// Gzip streams that make up the data member: normally one.
    pub data_streams: u32,
    /// SHA-256 of the uncompressed data, which OCI calls the layer's diff ID, if it was asked for.
    pub diff_id: Option<Sha256>,
    /// Bytes of the uncompressed data.
    pub diff_size: u64,
    /// Whether data ends with end-of-archive blocks.
    pub ends_with_blocks: bool,
    /// Whether data's entries are of kinds that every reader of archives knows; see
    /// [`Entries::is_portable`](super::tar::Entries::is_portable).
    pub portable: bool,
    /// SHA-1 of the control member, by which indexes name the package.
    pub checksum: Checksum,
}

#[cfg(test)]
mod tests;
