use std::collections::BTreeMap;
use std::io::Read;

use mailimg::apk::index::{self, Index};
use mailimg::apk::installed::{self, Installed, InstalledPath};
use mailimg::apk::package::{Measured, PackageReader};
use mailimg::apk::tar::EntryKind;
use mailimg::apk::{Checksum, Package};
use mailimg::digest::Sha256;

use crate::common::alpine;

fn open(path: &std::path::Path) -> PackageReader<fs_err::File> {
    PackageReader::measuring(fs_err::File::open(path).unwrap()).unwrap()
}

/// Packages as the index describes them, by file name.
fn indexed() -> BTreeMap<String, Package> {
    let signed = Index::read(&alpine::index(), &alpine::keyring()).unwrap();
    let file_name = |package: &Package| format!("{}-{}.apk", package.name, package.version);
    signed.index.packages.into_iter().map(|package| (file_name(&package), package)).collect()
}

#[test]
fn every_package_is_what_its_signature_and_the_index_say() {
    let keyring = alpine::keyring();
    let indexed = indexed();
    for path in alpine::packages() {
        let name = path.file_name().unwrap().to_str().unwrap();
        let reader = open(&path);
        assert_eq!(reader.head().verify(&keyring).unwrap().len(), 1, "{name}");
        let package = reader.control().package.clone();
        let Measured { size, sha256, signatures, control, data, checksum, data_streams, .. } = reader.finish().unwrap();

        let bytes = fs_err::read(&path).unwrap();
        assert_eq!((size, sha256), (bytes.len() as u64, Some(Sha256::of(&bytes))), "{name}");
        let [signature] = &signatures[..] else { panic!("{name}: {signatures:?}") };
        let mut end = 0;
        for member in [signature, &control, &data] {
            assert_eq!(member.offset, end, "{name}");
            end += member.size;
            let range = usize::try_from(member.offset).unwrap()..usize::try_from(end).unwrap();
            assert_eq!(member.sha256, Sha256::of(&bytes[range]), "{name}");
        }
        assert_eq!((end, data_streams), (size, 1), "{name}");

        // An index has no `replaces`, and lists its own architecture for `noarch` packages.
        let arch = if package.arch == "noarch" { "x86_64".to_owned() } else { package.arch };
        let known = Package { arch, replaces: Vec::new(), replaces_priority: None, file_size: Some(size), ..package };
        assert_eq!(known, indexed[name]);
        assert_eq!(known.checksum, Some(checksum), "{name}");
    }
}

#[test]
fn every_checksum_of_a_file_is_right() {
    for path in alpine::packages() {
        let mut reader = open(&path);
        while let Some(entry) = reader.next_entry().unwrap() {
            let mut content = Vec::new();
            reader.content().read_to_end(&mut content).unwrap();
            assert_eq!(content.len() as u64, entry.size);
            let expected = match &entry.kind {
                EntryKind::File => Some(Checksum::of(&content)),
                EntryKind::Symlink(target) => Some(Checksum::of(target)),
                _ => None,
            };
            assert_eq!(entry.checksum, expected, "{}: {}", path.display(), entry.display_path());
        }
    }
}

#[test]
fn an_index_is_written_as_apk_writes_it() {
    let index = Index::read_unverified(&alpine::index()).unwrap();
    let ours = index::text(&Index::new("", index.packages.clone()).packages);
    let mut archive = Vec::new();
    flate2::read::MultiGzDecoder::new(&alpine::index()[..]).read_to_end(&mut archive).unwrap();
    let begin = archive.windows(4).position(|window| window == b"\nP:a").unwrap();
    let theirs = &archive[archive[..begin].iter().rposition(|&b| b == 0).unwrap() + 1..];
    let theirs = &theirs[..theirs.iter().position(|&b| b == 0).unwrap()];
    assert_eq!(ours, String::from_utf8_lossy(theirs));
}

#[test]
fn any_changed_bit_that_is_signed_is_refused_and_no_other_changes_what_is_read() {
    let (index, keyring) = (alpine::index(), alpine::keyring());
    let read = Index::read(&index, &keyring).unwrap();
    let mut signature = flate2::bufread::GzDecoder::new(&index[..]);
    std::io::copy(&mut signature, &mut std::io::sink()).unwrap();
    let signed = index.len() - signature.into_inner().len();
    // All bits of the signature member, then one bit of every eleventh byte that it signs.
    let bits = (0..signed * 8).chain((signed..index.len()).step_by(11).map(|byte| byte * 8 + byte % 8));
    let mut changed = index.clone();
    for bit in bits {
        changed[bit / 8] ^= 1 << (bit % 8);
        match Index::read(&changed, &keyring) {
            Err(_) => {}
            Ok(_) if bit / 8 >= signed => panic!("bit {} of byte {} is signed", bit % 8, bit / 8),
            // Such as the time in the gzip header.
            Ok(other) => assert_eq!(other.index.packages, read.index.packages, "bit {} of byte {}", bit % 8, bit / 8),
        }
        changed[bit / 8] ^= 1 << (bit % 8);
    }
}

/// What apk records about a package's paths when it installs it, with the owners from its headers.
fn installed_paths(name: &str) -> Vec<InstalledPath> {
    let mut reader = open(&alpine::mirror().join("x86_64").join(name));
    let mut checksums = BTreeMap::new();
    let mut paths = Vec::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        if entry.path.starts_with(b".") {
            continue;
        }
        let checksum = match &entry.kind {
            EntryKind::Hardlink(target) => checksums[target],
            _ => entry.checksum,
        };
        checksums.insert(entry.path.clone(), checksum);
        paths.push(InstalledPath {
            is_directory: entry.kind == EntryKind::Directory,
            path: entry.path,
            mode: entry.mode,
            uid: entry.uid,
            gid: entry.gid,
            checksum,
        });
    }
    paths
}

#[test]
fn the_installed_database_is_written_as_apk_writes_it() {
    let indexed = indexed();
    for (world, _) in alpine::worlds() {
        let theirs = alpine::tree_file(&format!("{world}.installed.gz"));
        let read = installed::read(&theirs).unwrap();
        let ours: Vec<_> = read
            .iter()
            .map(|installed| {
                let name = format!("{}-{}.apk", installed.package.name, installed.package.version);
                let package = open(&alpine::mirror().join("x86_64").join(&name)).control().package.clone();
                let package = Package { replaces: package.replaces, ..indexed[&name].clone() };
                Installed { package, paths: installed_paths(&name) }
            })
            .collect();
        assert_eq!(String::from_utf8_lossy(&installed::write(&ours)), String::from_utf8_lossy(&theirs), "{world}");
        assert_eq!(String::from_utf8_lossy(&installed::write(&read)), String::from_utf8_lossy(&theirs), "{world}");
    }
}
