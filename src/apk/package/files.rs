use std::io::Read;

use serde::{Deserialize, Serialize};

use super::{Control, Measured, PackageError, PackageReader};
use crate::apk::Package;
use crate::apk::tar::{Entry, EntryKind};
use crate::digest::Digesting;
use crate::table::{Table, id};

id! {
    /// An entry of a package's data archive, by its position.
    pub EntryId
}

/// A package as the file tree needs it: its metadata and the entries of its data archive, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageFiles {
    /// Its metadata and scripts. Scripts are kept but never run.
    pub control: Control,
    /// Its data archive's entries.
    pub entries: Table<EntryId, PackageEntry>,
    /// The number of gzip streams in the data member, normally one.
    pub data_streams: u32,
    /// Whether the data ends with end-of-archive blocks.
    pub ends_with_blocks: bool,
    /// Whether all entries are of kinds that every archive reader supports.
    pub portable: bool,
}

/// One entry of a package's data archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageEntry {
    pub header: Entry,
    /// The content, for the few files that building the tree needs; see [`is_read`].
    pub content: Option<Vec<u8>>,
}

/// The largest file that building the tree reads, in bytes.
pub const READ_LIMIT: u64 = 4 << 20;

/// Whether building the tree needs the content of the file at `path`: account files, busybox's lists of links, and
/// certificates.
#[must_use]
pub fn is_read(path: &[u8]) -> bool {
    matches!(path, b"etc/passwd" | b"etc/group" | b"etc/shadow" | b"etc/ca-certificates.conf" | b"etc/shells")
        || path.starts_with(b"etc/busybox-paths.d/")
        || path.starts_with(b"usr/share/ca-certificates/")
}

/// The most bytes of all such files of a package together.
const READ_LIMIT_OF_ALL: u64 = 64 << 20;

/// What reading a package's data reveals, compact enough to store: with this and the control member, the package need
/// not be read again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    pub measured: Measured,
    /// The data archive's entries.
    pub entries: Vec<PackageEntry>,
}

impl Listing {
    /// Part of the name under which listings are stored; raised when older ones would be misread, called more packages
    /// portable, or were made without checking all that a lock says.
    pub const VERSION: u32 = 8;

    /// Reads a package to its end. Also returns what was passed to [`PackageReader::keep_data`].
    pub fn read<R: Read, W: Digesting>(mut reader: PackageReader<R, W>) -> Result<(Self, Option<W>), PackageError> {
        let mut entries = Vec::new();
        let mut kept = 0;
        while let Some(header) = reader.next_entry()? {
            let wanted = header.kind == EntryKind::File && is_read(&header.path) && header.size <= READ_LIMIT;
            let mut content = None;
            if wanted && kept + header.size <= READ_LIMIT_OF_ALL {
                kept += header.size;
                let mut bytes = Vec::new();
                let read = reader.content().read_to_end(&mut bytes);
                read.map_err(|error| PackageError::from_io("data", error))?;
                content = Some(bytes);
            }
            entries.push(PackageEntry { header, content });
        }
        let (measured, copy) = reader.finish_keeping()?;
        Ok((Self { measured, entries }, copy))
    }
}

impl PackageFiles {
    /// Reads a package file from front to back.
    pub fn read(source: impl Read) -> Result<(Self, Measured), PackageError> {
        Self::read_on(PackageReader::new(source)?)
    }

    /// Reads the data of a package.
    pub fn read_on(reader: PackageReader<impl Read>) -> Result<(Self, Measured), PackageError> {
        let control = reader.control().clone();
        let (listing, _) = Listing::read(reader)?;
        let measured = listing.measured.clone();
        Ok((Self::new(control, listing), measured))
    }

    /// From what was kept.
    #[must_use]
    pub fn new(mut control: Control, listing: Listing) -> Self {
        let Listing { measured, entries } = listing;
        control.package.file_size = Some(measured.size);
        let Measured { data_streams, ends_with_blocks, portable, .. } = measured;
        Self { control, entries: entries.into(), data_streams, ends_with_blocks, portable }
    }

    /// The same with the architecture from the repository's index, which the installed database records: Alpine's
    /// indexes name their own architecture even for `noarch` packages.
    #[must_use]
    pub fn listed_for(mut self, arch: &str) -> Self {
        arch.clone_into(&mut self.control.package.arch);
        self
    }

    /// What it says of itself.
    #[must_use]
    pub fn package(&self) -> &Package {
        &self.control.package
    }

    /// `name-version`, for messages.
    #[must_use]
    pub fn title(&self) -> String {
        format!("{}-{}", self.control.package.name, self.control.package.version)
    }
}
