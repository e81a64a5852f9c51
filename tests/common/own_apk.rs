//! Alpine's own apk, unpacked from its packages and run by its own loader, without installing it on this machine.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use mailimg::apk::package::PackageReader;
use mailimg::apk::tar::EntryKind;

use super::alpine;

/// A directory with apk and the libraries that it needs. It is removed when this value is dropped.
pub struct OwnApk {
    root: tempfile::TempDir,
}

impl OwnApk {
    pub fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        for needed in ["musl-1", "libcrypto3-", "libssl3-", "zlib-1", "apk-tools-2"] {
            let is_it = |path: &&PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with(needed);
            let packages = alpine::packages();
            let package = packages.iter().find(is_it).unwrap_or_else(|| panic!("the mirror has no {needed}*.apk"));
            unpack(package, root.path());
        }
        Self { root }
    }

    /// apk for the system in `target`, which is created if missing. Needs root, as apk does.
    pub fn command(&self, target: &Path) -> Command {
        let path = |name: &str| self.root.path().join(name);
        let mut command = Command::new(path("lib/ld-musl-x86_64.so.1"));
        command.arg("--library-path").arg(path("lib")).arg(path("sbin/apk"));
        command.arg("--root").arg(target).args(["--arch", "x86_64", "--no-network", "--no-cache", "--no-progress"]);
        command
    }
}

/// Unpacks the files of a trusted package, including links, without owners.
fn unpack(package: &Path, target: &Path) {
    let mut reader = PackageReader::new(fs_err::File::open(package).unwrap()).unwrap();
    reader.head().verify(&alpine::keyring()).unwrap();
    while let Some(entry) = reader.next_entry().unwrap() {
        let path = target.join(str::from_utf8(&entry.path).unwrap());
        match &entry.kind {
            EntryKind::Directory => fs_err::create_dir_all(path).unwrap(),
            EntryKind::File => {
                std::io::copy(&mut reader.content(), &mut fs_err::File::create(&path).unwrap()).unwrap();
                fs_err::set_permissions(&path, std::fs::Permissions::from_mode(entry.mode)).unwrap();
            }
            EntryKind::Symlink(to) => std::os::unix::fs::symlink(str::from_utf8(to).unwrap(), path).unwrap(),
            other => panic!("{other:?}"),
        }
    }
}
