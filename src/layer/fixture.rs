//! Made-up packages for this module's tests.

use crate::apk::package::PackageEntry;
use crate::apk::package::fixture::entry;
pub(super) use crate::apk::package::fixture::{header, package};
use crate::apk::tar::{Entry, EntryKind};
use crate::rootfs::TreePath;

pub(super) fn path(name: &str) -> TreePath {
    TreePath::new(name).unwrap()
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
