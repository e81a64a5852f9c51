use std::io::Read;

use super::{Control, Measured, PackageError, PackageReader};
use crate::apk::Package;
use crate::apk::tar::{Entry, EntryKind};

/// A package as the tree needs it: what it says of itself, and the entries of its data archive in their order.
#[derive(Debug, Clone)]
pub struct PackageFiles {
    /// What it says of itself, with its scripts, which are kept and never run.
    pub control: Control,
    /// Its data archive's entries.
    pub entries: Vec<PackageEntry>,
    /// Gzip streams that make up the data member: normally one.
    pub data_streams: u32,
    /// Whether data ends with end-of-archive blocks.
    pub ends_with_blocks: bool,
}

/// One entry of a package's data archive.
#[derive(Debug, Clone)]
pub struct PackageEntry {
    /// Its header.
    pub header: Entry,
    /// The content itself, for the few files that the tree is made with; see [`is_read`].
    pub content: Option<Vec<u8>>,
}

/// Most bytes of one file that the tree is made with.
pub const READ_LIMIT: u64 = 4 << 20;

/// Whether making the tree needs the content of the file at `path`: account files, lists of busybox's links, and
/// certificates.
#[must_use]
pub fn is_read(path: &[u8]) -> bool {
    matches!(path, b"etc/passwd" | b"etc/group" | b"etc/shadow" | b"etc/ca-certificates.conf" | b"etc/shells")
        || path.starts_with(b"etc/busybox-paths.d/")
        || path.starts_with(b"usr/share/ca-certificates/")
}

impl PackageFiles {
    /// Reads a package file from front to back.
    pub fn read(source: impl Read) -> Result<(Self, Measured), PackageError> {
        let mut reader = PackageReader::new(source)?;
        let mut entries = Vec::new();
        while let Some(header) = reader.next_entry()? {
            let wanted = header.kind == EntryKind::File && is_read(&header.path) && header.size <= READ_LIMIT;
            let mut content = wanted.then(Vec::new);
            if let Some(content) = &mut content {
                reader.content().read_to_end(content).map_err(PackageError::Read)?;
            }
            entries.push(PackageEntry { header, content });
        }
        let mut control = reader.control().clone();
        let measured = reader.finish()?;
        control.package.file_size = Some(measured.size);
        let (data_streams, ends_with_blocks) = (measured.data_streams, measured.ends_with_blocks);
        Ok((Self { control, entries, data_streams, ends_with_blocks }, measured))
    }

    /// The same with the architecture under which a repository's index lists it, which is what the installed database
    /// holds: Alpine's indexes name their own even for `noarch`.
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

    /// `name-version`, as messages call a package.
    #[must_use]
    pub fn title(&self) -> String {
        format!("{}-{}", self.control.package.name, self.control.package.version)
    }
}
