//! Made-up packages for the tests of later stages.

use super::{Control, PackageEntry, PackageFiles};
use crate::apk::Package;
use crate::apk::tar::{Entry, EntryKind};
use crate::digest::Sha256;

/// A package of version `1-r0` with these entries.
pub(crate) fn package(name: &str, entries: Vec<PackageEntry>) -> PackageFiles {
    let control = Control {
        package: Package::new(name, "1-r0".parse().unwrap(), "x86_64"),
        data_hash: Sha256::of(name),
        triggers: Vec::new(),
        scripts: Vec::new(),
        pkginfo: Vec::new(),
    };
    PackageFiles { control, entries: entries.into(), data_streams: 1, ends_with_blocks: true, portable: true }
}

/// The header of the entry at a position.
pub(crate) fn header(files: &mut PackageFiles, position: usize) -> &mut Entry {
    let id = files.entries.ids().nth(position).unwrap();
    &mut files.entries[id].header
}

/// An entry without content.
pub(crate) fn entry(path: &str, kind: EntryKind, mode: u32) -> PackageEntry {
    PackageEntry { header: Entry::new(path, kind, mode), content: None }
}
