//! Made-up packages for this module's tests.

use crate::apk::Package;
use crate::apk::package::{Control, PackageEntry, PackageFiles};
use crate::apk::tar::{Entry, EntryKind};
use crate::digest::Sha256;
use crate::rootfs::TreePath;

pub(super) fn path(name: &str) -> TreePath {
    TreePath::new(name).unwrap()
}

pub(super) fn package(name: &str, entries: Vec<PackageEntry>) -> PackageFiles {
    let control = Control {
        package: Package::new(name, "1-r0".parse().unwrap(), "x86_64"),
        data_hash: Sha256::of(name),
        triggers: Vec::new(),
        scripts: Vec::new(),
        pkginfo: Vec::new(),
    };
    PackageFiles { control, entries, data_streams: 1, ends_with_blocks: true, portable: true }
}

fn entry(path: &str, kind: EntryKind, mode: u32) -> PackageEntry {
    PackageEntry { header: Entry::new(path, kind, mode), content: None }
}

pub(super) fn dir(path: &str) -> PackageEntry {
    entry(path, EntryKind::Directory, 0o755)
}

pub(super) fn file(path: &str, size: u64) -> PackageEntry {
    let mut file = entry(path, EntryKind::File, 0o644);
    file.header.size = size;
    file
}

pub(super) fn link(path: &str, target: &str) -> PackageEntry {
    entry(path, EntryKind::Symlink(target.into()), 0o777)
}

pub(super) fn named(entry: PackageEntry, name: &str, uid: u32, gid: u32) -> PackageEntry {
    let header = Entry { user: name.to_owned(), group: name.to_owned(), uid, gid, ..entry.header };
    PackageEntry { header, ..entry }
}
