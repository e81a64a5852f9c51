//! The tar archives in packages and layers: POSIX ustar with PAX headers and GNU tar's extensions.
//!
//! Our own reader, because a package is hostile until its hash is checked: every length is bounded and every number is
//! parsed strictly. An archive that readers could understand differently is refused, or reported as not
//! [portable](Entries::is_portable), which keeps it from becoming a verbatim layer.
//!
//! Sources: POSIX.1-2024 `pax`, and the GNU tar manual's appendices on its format and sparse files.

mod content;
mod error;
#[cfg(test)]
pub(crate) mod fixture;
mod header;
mod pax;
mod portable;
mod read;
mod sparse;
mod write;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use content::Content;
pub use error::TarError;
pub use read::{Entries, Position};
pub use write::{append, end, header};

use super::Checksum;

/// The size of a block in bytes; headers and padded contents are multiples of it.
pub const BLOCK: usize = 512;

/// Longest path or link target, in bytes: Linux's `PATH_MAX`.
pub const PATH_LIMIT: usize = 4096;

/// Longest component of a path, in bytes: Linux's `NAME_MAX`.
pub const NAME_LIMIT: usize = 255;

/// The PAX record with the SHA-1 of a file's content or a link's target, in hexadecimal.
pub const CHECKSUM_KEY: &str = "APK-TOOLS.checksum.SHA1";

/// The prefix of PAX records for extended attributes.
pub const XATTR_PREFIX: &str = "SCHILY.xattr.";

/// An archive's header for one path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// A relative path without a slash at either end. Never empty, and without `..`, double slashes, NUL and newline.
    /// Bytes, like all paths on Linux.
    pub path: Vec<u8>,
    pub kind: EntryKind,
    /// Permission bits with setuid, setgid and sticky: at most `0o7777`.
    pub mode: u32,
    /// The owner's id; apk prefers the name.
    pub uid: u32,
    /// The group's id; apk prefers the name.
    pub gid: u32,
    /// Owner's name; empty where the header has none, or one that no account can have.
    pub user: String,
    /// Group's name; as the owner's.
    pub group: String,
    /// The size of the content in bytes, including holes of sparse files; 0 for anything but files.
    pub size: u64,
    /// Seconds since 1970, rounded down; negative for what is older.
    pub mtime: i64,
    /// SHA-1 of content or link target, where the header has one.
    pub checksum: Option<Checksum>,
    /// Extended attributes by full name (`security.capability`).
    pub xattrs: BTreeMap<String, Vec<u8>>,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum EntryKind {
    /// A regular file, with content.
    File,
    Directory,
    /// A symbolic link with its literal target.
    Symlink(Vec<u8>),
    /// A further name of an earlier file, by that file's path.
    Hardlink(Vec<u8>),
    CharDevice(Device),
    BlockDevice(Device),
    Fifo,
}

/// The numbers of a device node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    pub major: u32,
    pub minor: u32,
}

impl EntryKind {
    /// A word for messages: `file`, `directory`, `symlink`, …
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Directory => "directory",
            Self::Symlink(_) => "symlink",
            Self::Hardlink(_) => "hardlink",
            Self::CharDevice(_) => "character device",
            Self::BlockDevice(_) => "block device",
            Self::Fifo => "fifo",
        }
    }

    /// Where a link points.
    #[must_use]
    pub fn target(&self) -> Option<&[u8]> {
        match self {
            Self::Symlink(target) | Self::Hardlink(target) => Some(target),
            _ => None,
        }
    }
}

impl Entry {
    /// An entry owned by root, dated 1970, without content.
    #[must_use]
    pub fn new(path: impl Into<Vec<u8>>, kind: EntryKind, mode: u32) -> Self {
        Self {
            path: path.into(),
            kind,
            mode,
            uid: 0,
            gid: 0,
            user: "root".to_owned(),
            group: "root".to_owned(),
            size: 0,
            mtime: 0,
            checksum: None,
            xattrs: BTreeMap::new(),
        }
    }

    /// The path for messages, with invalid UTF-8 replaced.
    #[must_use]
    pub fn display_path(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.path)
    }
}

/// Why a path or link target is rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathFault {
    /// Nothing, or only slashes.
    #[error("is empty")]
    Empty,
    /// It begins with a slash.
    #[error("is absolute")]
    Absolute,
    /// It has `..` as a component.
    #[error("contains “..”")]
    Parent,
    /// It has `.` as a component other than the first, or two slashes in a row.
    #[error("contains “/./” or “//”")]
    NotNormal,
    /// It holds a NUL byte.
    #[error("contains a NUL byte")]
    Nul,
    /// It contains a newline, which would end a line in the installed database.
    #[error("contains a newline")]
    Newline,
    /// The path or one of its components is longer than Linux allows.
    #[error("is longer than {PATH_LIMIT} bytes, or has a component longer than {NAME_LIMIT}")]
    TooLong,
    /// A file whose name ends with a slash.
    #[error("ends with a slash but is not a directory")]
    TrailingSlash,
}

/// Checks a relative path. A leading `./` is kept: apk doesn't install such entries, and neither must we.
fn check_path(path: &[u8]) -> Result<(), PathFault> {
    check_text(path)?;
    if path.starts_with(b"/") {
        return Err(PathFault::Absolute);
    }
    for (position, component) in path.split(|&b| b == b'/').enumerate() {
        match component {
            b".." => return Err(PathFault::Parent),
            b"" => return Err(PathFault::NotNormal),
            b"." if position > 0 => return Err(PathFault::NotNormal),
            _ if component.len() > NAME_LIMIT => return Err(PathFault::TooLong),
            _ => {}
        }
    }
    Ok(())
}

/// The checks that also apply to the targets of symbolic links, which may point anywhere.
fn check_text(path: &[u8]) -> Result<(), PathFault> {
    match path {
        _ if path.is_empty() => Err(PathFault::Empty),
        _ if path.len() > PATH_LIMIT => Err(PathFault::TooLong),
        _ if path.contains(&0) => Err(PathFault::Nul),
        _ if path.contains(&b'\n') => Err(PathFault::Newline),
        _ => Ok(()),
    }
}

/// The space that `size` bytes of content take up in an archive.
fn padded(size: u64) -> u64 {
    size.div_ceil(BLOCK as u64).saturating_mul(BLOCK as u64)
}

fn lossy(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}

#[cfg(test)]
mod tests;
