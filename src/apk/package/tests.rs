use std::io::Read;

use super::*;
use crate::apk::signature::{Keyring, SignatureError, SigningKey};
use crate::apk::tar::{Entry, EntryKind};
use crate::apk::{Dependency, Provide};
use crate::digest::Hashing;

fn info() -> Info {
    let mut package = Package::new("demo", "1.2-r3".parse().unwrap(), "x86_64");
    package.description = "made up".into();
    package.license = "MIT".into();
    package.build_time = Some(1_700_000_000);
    package.installed_size = 711;
    package.depends = Dependency::parse_list("so:libc.musl-x86_64.so.1 !other").unwrap();
    package.provides = Provide::parse_list("cmd:demo=1.2-r3").unwrap();
    package.install_if = Dependency::parse_list("a b=1").unwrap();
    Info { package, data_hash: None, triggers: vec!["/usr/share/*".into()] }
}

fn file(path: &str, content: &[u8]) -> (Entry, Vec<u8>) {
    let mut entry = Entry::new(path, EntryKind::File, 0o644);
    entry.size = content.len() as u64;
    (entry, content.to_vec())
}

fn link(path: &str, kind: EntryKind) -> (Entry, Vec<u8>) {
    (Entry::new(path, kind, 0o777), Vec::new())
}

fn files() -> Files {
    let long = format!("usr/share/{}/{}", "d".repeat(120), "f".repeat(120));
    let mut setuid = file("usr/bin/demo", b"#!/bin/sh\n");
    setuid.0.mode = 0o4755;
    setuid.0.group = "postdrop".into();
    setuid.0.xattrs.insert("security.capability".into(), vec![1, 0, b'\n', 255]);
    vec![
        setuid,
        link("usr/bin/link", EntryKind::Symlink("/usr/bin/demo".into())),
        link("usr/bin/same", EntryKind::Hardlink("usr/bin/demo".into())),
        file("usr/share/empty", b""),
        file(&long, &[7; 700]),
        link("usr/share/long", EntryKind::Symlink(long.into())),
    ]
}

fn package(files: &[(Entry, Vec<u8>)], key: Option<&SigningKey>) -> (Vec<u8>, Written) {
    let mut writer = PackageWriter::new(5);
    for (entry, content) in files {
        writer.add(entry, &mut &content[..]).unwrap();
    }
    let scripts = [Script { kind: ScriptKind::PostInstall, text: b"#!/bin/sh\nexit 0\n".to_vec() }];
    let mut out = Vec::new();
    let written = writer.finish(&info(), &scripts, key, &mut out).unwrap();
    (out, written)
}

type Files = Vec<(Entry, Vec<u8>)>;

fn entries(bytes: &[u8]) -> Result<(Files, Measured), PackageError> {
    let mut reader = PackageReader::measuring(bytes)?;
    let mut found = Vec::new();
    while let Some(entry) = reader.next_entry()? {
        let mut content = Vec::new();
        reader.content().read_to_end(&mut content).map_err(|error| PackageError::from_io("data", error))?;
        found.push((entry, content));
    }
    Ok((found, reader.finish()?))
}

#[test]
fn reads_what_it_wrote() {
    let (bytes, written) = package(&files(), None);
    let (found, measured) = entries(&bytes).unwrap();
    let directories: Vec<_> =
        found.iter().filter(|(entry, _)| entry.kind == EntryKind::Directory).map(|it| it.0.display_path()).collect();
    assert_eq!(directories[..3], ["usr", "usr/bin", "usr/share"]);
    let rest: Vec<_> = found
        .iter()
        .filter(|(entry, _)| entry.kind != EntryKind::Directory)
        .map(|(entry, content)| (Entry { checksum: None, ..entry.clone() }, content.clone()))
        .collect();
    assert_eq!(rest, files());
    for (entry, content) in &found {
        let expected = match &entry.kind {
            EntryKind::File => Some(Checksum::of(content)),
            EntryKind::Symlink(target) => Some(Checksum::of(target)),
            _ => None,
        };
        assert_eq!(entry.checksum, expected, "{entry:?}");
    }
    assert_eq!(measured.sha256, Some(written.sha256));
    assert_eq!(measured.data.sha256, written.data_hash);
    assert_eq!(Some(measured.checksum), written.package.checksum);
    assert_eq!(measured.control.size + measured.data.size, measured.size);
    assert_eq!((measured.data_streams, measured.ends_with_blocks), (1, true));

    let reader = PackageReader::new(&bytes[..]).unwrap();
    let control = reader.control();
    assert_eq!(control.package, Package { checksum: Some(measured.checksum), ..info().package });
    assert_eq!(control.triggers, info().triggers);
    assert_eq!(control.scripts[0].kind, ScriptKind::PostInstall);
}

#[test]
fn a_listing_says_what_the_package_does() {
    let mut files = files();
    files.push(file("etc/passwd", b"root:x:0:0::/:/bin/sh\n"));
    let key = SigningKey::generate_small("me@example.org-1.rsa.pub").unwrap();
    let (bytes, _) = package(&files, Some(&key));
    let (expected, measured) = PackageFiles::read(&bytes[..]).unwrap();
    assert!(expected.entries.items().iter().any(|entry| entry.content.as_deref() == Some(b"root:x:0:0::/:/bin/sh\n")));

    let reader = Unparsed::new(&bytes[..]).unwrap().parse().unwrap().keep_data(Hashing::new(Vec::new()));
    let (listing, data) = Listing::read(reader).unwrap();
    let (_, _, data) = data.unwrap().finish();
    assert_eq!(listing.measured, measured);
    let part = |member: &Member| {
        let begin = usize::try_from(member.offset).unwrap();
        &bytes[begin..begin + usize::try_from(member.size).unwrap()]
    };
    assert_eq!(data, part(&measured.data), "the copy is the data member and nothing else");

    let kept = postcard::from_bytes(&postcard::to_stdvec(&listing).unwrap()).unwrap();
    let control = Control::read(part(&measured.control)).unwrap();
    assert_eq!(PackageFiles::new(control, kept), expected);
    let mut entries = DataReader::new(&data[..]);
    let mut paths = Vec::new();
    while let Some(entry) = entries.next_entry().unwrap() {
        paths.push(entry);
    }
    assert_eq!(paths, expected.entries.items().iter().map(|entry| entry.header.clone()).collect::<Vec<_>>());
}

/// Writes what it can, then fails.
struct Full(u64);

impl std::io::Write for Full {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len() as u64).ok_or(std::io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_copy_that_fails_is_no_fault_of_the_package() {
    let (bytes, _) = package(&files(), None);
    let reader = Unparsed::new(&bytes[..]).unwrap().parse().unwrap().keep_data(Hashing::new(Full(100)));
    assert!(
        matches!(Listing::read(reader), Err(PackageError::Copy(error)) if error.kind() == std::io::ErrorKind::StorageFull)
    );
}

#[test]
fn no_package_is_without_size() {
    let size = |files: &[(Entry, Vec<u8>)]| {
        let mut writer = PackageWriter::new(0);
        for (entry, content) in files {
            writer.add(entry, &mut &content[..]).unwrap();
        }
        let mut info = info();
        info.package.installed_size = 0;
        writer.finish(&info, &[], None, &mut std::io::sink()).unwrap().package.installed_size
    };
    assert_eq!((size(&files()), size(&[])), (710, 1));
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    assert_eq!(package(&files(), None), package(&files(), None));
}

#[test]
fn a_signature_vouches_for_control_and_data() {
    let key = SigningKey::generate_small("me@example.org-1.rsa.pub").unwrap();
    let (bytes, _) = package(&files(), Some(&key));
    let mut keyring = Keyring::new();
    let reader = PackageReader::new(&bytes[..]).unwrap();
    assert!(matches!(reader.head().verify(&keyring), Err(SignatureError::UnknownKey { .. })));
    keyring.trust(key.name(), key.public_pem().unwrap().as_bytes()).unwrap();
    assert_eq!(reader.head().verify(&keyring).unwrap(), [key.name()]);
    let measured = reader.finish().unwrap();
    assert_eq!(measured.signatures[0].size, measured.control.offset);

    // Any bit of control or data: the one is signed, the other hashed.
    for position in (usize::try_from(measured.control.offset).unwrap()..bytes.len()).step_by(7) {
        let mut changed = bytes.clone();
        changed[position] ^= 1 << (position % 8);
        let refused = match PackageReader::new(&changed[..]) {
            Ok(reader) => reader.head().verify(&keyring).is_err() || reader.finish().is_err(),
            Err(_) => true,
        };
        assert!(refused, "byte {position}");
    }
    let (unsigned, _) = package(&files(), None);
    let reader = PackageReader::new(&unsigned[..]).unwrap();
    assert!(matches!(reader.head().verify(&keyring), Err(SignatureError::Unsigned)));
}

#[test]
fn signatures_of_other_tools_are_checked() {
    let key = SigningKey::generate_small("me@example.org-1.rsa.pub").unwrap();
    let mut keyring = Keyring::new();
    keyring.trust(key.name(), key.public_pem().unwrap().as_bytes()).unwrap();
    let (unsigned, _) = package(&files(), None);
    let size = usize::try_from(entries(&unsigned).unwrap().1.control.size).unwrap();
    for way in &crate::apk::signature::fixture::WAYS {
        let signature = way.sign(&key, &unsigned[..size]);
        let bytes = [&signature[..], &unsigned].concat();
        let reader = PackageReader::new(&bytes[..]).unwrap();
        assert_eq!(reader.head().verify(&keyring).unwrap(), [key.name()], "{}", way.tool);
        let measured = reader.finish().unwrap();
        assert_eq!((measured.signatures.len(), measured.control.offset), (1, signature.len() as u64), "{}", way.tool);
        let mut changed = bytes;
        // The operating system in control's gzip header: nothing else would tell.
        changed[signature.len() + 9] ^= 1;
        let refused = PackageReader::new(&changed[..]).unwrap().head().verify(&keyring);
        assert!(matches!(refused, Err(SignatureError::Invalid { .. })), "{}: {refused:?}", way.tool);
    }
}

#[test]
fn refuses_what_is_no_package_of_format_v2() {
    assert!(matches!(PackageReader::new(&b"ADB.rest"[..]), Err(PackageError::FormatV3)));
    assert!(matches!(PackageReader::new(&b"PK\x03\x04"[..]), Err(PackageError::NotAPackage)));
    let page = b"\r\n<!DOCTYPE html><html>Log in</html>";
    assert!(matches!(PackageReader::new(&page[..]), Err(PackageError::Html)));
    assert!(matches!(PackageReader::new(&b""[..]), Err(PackageError::NotAPackage)));
}

#[test]
fn refuses_packages_that_are_cut_off() {
    let (bytes, _) = package(&files(), None);
    for length in 0..bytes.len() {
        assert!(entries(&bytes[..length]).is_err(), "{length}");
    }
}

#[test]
fn refuses_anything_behind_data() {
    let (bytes, _) = package(&files(), None);
    for tail in [&b"\0"[..], b"garbage", &[0; 512]] {
        let error = entries(&[&bytes[..], tail].concat()).unwrap_err();
        assert!(matches!(error, PackageError::Trailing { offset } if offset == bytes.len() as u64), "{error:?}");
    }
}

#[test]
fn paths_that_escape_are_refused_by_name() {
    for path in ["/etc/passwd", "a/../../b", "..", "a//b", "a/./b", "a\nF:b"] {
        let mut archive = Vec::new();
        archive.extend(crate::apk::tar::header(&Entry::new(path, EntryKind::File, 0o644)));
        let bytes = with_data(&archive);
        let error = entries(&bytes).unwrap_err();
        assert!(
            matches!(&error, PackageError::Tar { source: crate::apk::tar::TarError::Path { path: found, .. }, .. }
            if found == path),
            "{error:?}"
        );
    }
}

/// A package around a data archive.
fn with_data(archive: &[u8]) -> Vec<u8> {
    with_members(&[archive])
}

/// A package whose data is several gzip streams.
fn with_members(archives: &[&[u8]]) -> Vec<u8> {
    let data: Vec<u8> = archives.iter().flat_map(|archive| crate::apk::gzip::compress(archive)).collect();
    let info = Info { data_hash: Some(Sha256::of(&data)), ..info() };
    [write::control(&info, &[]).unwrap(), data].concat()
}

#[test]
fn data_may_be_several_streams() {
    let mut archive = Vec::new();
    for (entry, content) in files() {
        crate::apk::tar::append(&mut archive, &entry, &mut &content[..]).unwrap();
    }
    crate::apk::tar::end(&mut archive);
    let (a, b) = archive.split_at(700);
    let (found, measured) = entries(&with_members(&[a, b])).unwrap();
    assert_eq!(found, files());
    assert_eq!(measured.data_streams, 2);
    assert_eq!((measured.diff_id, measured.diff_size), (Some(Sha256::of(&archive)), archive.len() as u64));
}

#[test]
fn refuses_data_that_is_not_what_control_says() {
    let (bytes, written) = package(&files(), None);
    let (other, other_written) = package(&files()[..1], None);
    let control = |bytes: &[u8]| {
        let measured = entries(bytes).unwrap().1;
        usize::try_from(measured.control.size).unwrap()
    };
    let mixed = [&bytes[..control(&bytes)], &other[control(&other)..]].concat();
    let error = entries(&mixed).unwrap_err();
    assert!(
        matches!(error, PackageError::DataHash { expected, found }
            if expected == written.data_hash && found == other_written.data_hash),
        "{error:?}"
    );
}

#[test]
fn the_writer_refuses_what_could_not_be_installed() {
    let mut writer = PackageWriter::new(0);
    let mut add = |path: &str, kind| writer.add(&Entry::new(path, kind, 0o644), &mut std::io::empty());
    add("a", EntryKind::File).unwrap();
    assert!(matches!(add("a", EntryKind::Directory), Err(WriteError::Twice { .. })));
    assert!(matches!(add("a/b", EntryKind::File), Err(WriteError::BelowFile { .. })));
    let nowhere = EntryKind::Hardlink("nowhere".into());
    assert!(matches!(add("c", nowhere), Err(WriteError::DanglingHardlink { .. })));
}

proptest::proptest! {
    #[test]
    fn any_bytes_give_an_error_and_no_panic(bytes: Vec<u8>, at: proptest::sample::Index, bit in 0..8) {
        let _ = entries(&[&[0x1f, 0x8b, 8][..], &bytes].concat());
        let mut package = with_data(&bytes);
        let _ = entries(&package);
        let at = at.index(package.len());
        package[at] ^= 1_u8 << bit;
        let _ = entries(&package);
    }
}
