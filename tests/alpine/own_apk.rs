//! Alpine's own apk reads what mailimg writes: packages, indexes, signatures, the installed database.

use std::os::unix::fs::{MetadataExt, PermissionsExt};

use mailimg::apk::index::Index;
use mailimg::apk::installed::{self, Installed, InstalledPath};
use mailimg::apk::package::{Info, PackageReader, PackageWriter};
use mailimg::apk::tar::{Entry, EntryKind};
use mailimg::apk::{Checksum, Dependency, Package, SigningKey};

use crate::common::own_apk::OwnApk;

const KEY: &str = "me@example.org-1.rsa.pub";

/// A package like real ones: owners, special bits, links, long names, no entries for parent directories.
fn package(name: &str, depends: &str) -> (Vec<u8>, Package, Vec<Entry>) {
    let mut package = Package::new(name, "1.0-r0".parse().unwrap(), "x86_64");
    package.description = "made up".into();
    package.license = "MIT".into();
    package.build_time = Some(1_700_000_000);
    package.depends = Dependency::parse_list(depends).unwrap();
    package.replaces = Dependency::parse_list("elsewhere<2").unwrap();
    let info = Info { package, data_hash: None, triggers: Vec::new() };
    let mut writer = PackageWriter::new(1_700_000_000);
    let mut add = |path: String, kind: EntryKind, mode: u32, content: &[u8]| {
        let mut entry = Entry::new(path, kind, mode);
        entry.size = content.len() as u64;
        entry.mtime = 1_600_000_000;
        entry.gid = 4242;
        entry.group = "nosuchgroup".into();
        writer.add(&entry, &mut &*content).unwrap();
    };
    add(format!("usr/bin/{name}"), EntryKind::File, 0o2755, b"content");
    add(format!("usr/bin/{name}-same"), EntryKind::Hardlink(format!("usr/bin/{name}").into()), 0o2755, b"");
    add(format!("usr/bin/{name}-link"), EntryKind::Symlink(b"../lib/x".to_vec()), 0o777, b"");
    add(format!("usr/share/{}/{name}", "d".repeat(150)), EntryKind::File, 0o600, b"");
    add(format!("var/spool/{name}"), EntryKind::Directory, 0o1770, b"");
    let mut bytes = Vec::new();
    let written = writer.finish(&info, &[], None, &mut bytes).unwrap();

    let mut reader = PackageReader::new(&bytes[..]).unwrap();
    let entries = std::iter::from_fn(|| reader.next_entry().unwrap()).collect();
    (bytes, written.package, entries)
}

fn installed_of(package: Package, entries: &[Entry]) -> Installed {
    let path = |entry: &Entry| InstalledPath {
        path: entry.path.clone(),
        is_directory: entry.kind == EntryKind::Directory,
        mode: entry.mode,
        uid: entry.uid,
        gid: entry.gid,
        checksum: match &entry.kind {
            EntryKind::Hardlink(_) => Some(Checksum::of("content")),
            _ => entry.checksum,
        },
    };
    Installed { package, paths: entries.iter().map(path).collect() }
}

#[test]
fn as_root_alpines_apk_installs_from_a_signed_index_of_unsigned_packages() {
    let apk = OwnApk::new();
    let directory = tempfile::tempdir().unwrap();
    let repository = directory.path().join("repo/x86_64");
    fs_err::create_dir_all(&repository).unwrap();
    let packages = [package("a", ""), package("b", "a>=1")];
    for (bytes, package, _) in &packages {
        fs_err::write(repository.join(format!("{}-1.0-r0.apk", package.name)), bytes).unwrap();
    }
    let key = SigningKey::generate(KEY).unwrap();
    let index = Index::new("mine", packages.iter().map(|(_, package, _)| package.clone()).collect());
    fs_err::write(repository.join("APKINDEX.tar.gz"), index.write(Some(&key)).unwrap()).unwrap();

    let target = directory.path().join("root");
    let add = |target: &std::path::Path| {
        fs_err::create_dir_all(target.join("etc/apk/keys")).unwrap();
        let mut command = apk.command(target);
        command.args(["add", "--initdb", "--repository"]).arg(directory.path().join("repo")).arg("b");
        command.output().unwrap()
    };
    let refused = add(&directory.path().join("untrusting"));
    assert!(!refused.status.success(), "{refused:?}");

    fs_err::create_dir_all(target.join("etc/apk/keys")).unwrap();
    fs_err::write(target.join("etc/apk/keys").join(KEY), key.public_pem().unwrap()).unwrap();
    let output = add(&target);
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(!said.contains("WARNING") && !said.contains("ERROR"), "{said}");

    let stat = |path: &str| fs_err::symlink_metadata(target.join(path)).unwrap();
    let program = stat("usr/bin/b");
    assert_eq!((program.mode() & 0o7777, program.uid(), program.gid(), program.nlink()), (0o2755, 0, 4242, 2));
    assert_eq!(program.mtime(), 1_600_000_000);
    assert_eq!(program.ino(), stat("usr/bin/b-same").ino());
    assert_eq!(stat("var/spool/a").permissions().mode() & 0o7777, 0o1770);
    assert!(stat("usr/bin/a-link").is_symlink());

    let expected = packages.iter().map(|(_, package, entries)| {
        let package = Package { replaces: Dependency::parse_list("elsewhere<2").unwrap(), ..package.clone() };
        installed_of(package, entries)
    });
    let expected: Vec<_> = expected.collect();
    let theirs = fs_err::read(target.join("lib/apk/db/installed")).unwrap();
    assert_eq!(String::from_utf8_lossy(&installed::write(&expected)), String::from_utf8_lossy(&theirs));

    let audit = apk.command(&target).arg("audit").output().unwrap();
    let audited = String::from_utf8_lossy(&audit.stdout);
    assert!(!audited.contains("usr/") && !audited.contains("var/spool"), "{audited}");
}
