//! Package files: as they are, or made of a control and a data archive, because a fuzzer can't guess hashes.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use mailimg::apk::package::{Control, Info, PackageFiles, PackageReader};
use mailimg::apk::tar::{self, Entry, EntryKind};
use mailimg::digest::Sha256;

use crate::common::{Outcome, Target, halves, joined, mended};
use crate::tar::{assert_safe, entries};

pub const TARGET: Target = Target { check, seeds };

const GZIP: [u8; 2] = [0x1f, 0x8b];
const HASH_KEY: &[u8] = b"datahash = ";

fn check(input: &[u8]) -> Outcome {
    if input.starts_with(&GZIP) { read(input) } else { read(&packed(input)) }
}

fn read(file: &[u8]) -> Outcome {
    let measured = PackageReader::measuring(file)?.finish()?;
    assert_eq!(measured.size, file.len() as u64);
    assert_eq!(measured.sha256, Some(Sha256::of(file)));
    let members = measured.signatures.iter().chain([&measured.control, &measured.data]);
    assert_eq!(members.map(|member| member.size).sum::<u64>(), measured.size);
    let (files, again) = PackageFiles::read(file)?;
    assert_eq!(again.data, measured.data);
    files.entries.iter().for_each(|(_, entry)| assert_safe(&entry.header));
    assert_same_again(&files.control);
    Ok(())
}

/// Fields that can be written are the same when they are read again.
fn assert_same_again(control: &Control) {
    let info = Info::parse(&control.pkginfo).unwrap();
    if let Ok(text) = info.write() {
        assert_eq!(Info::parse(text.as_bytes()).unwrap(), info);
    }
}

/// The package of two archives. Its control states the right hash of its data.
fn packed(input: &[u8]) -> Vec<u8> {
    let (control, data) = halves(input);
    let data = gzip(&mended(data));
    let mut control = control.to_vec();
    let hash =
        control.windows(HASH_KEY.len()).position(|window| window == HASH_KEY).map(|start| start + HASH_KEY.len());
    if let Some(place) = hash.and_then(|start| control.get_mut(start..start + 64)) {
        place.copy_from_slice(Sha256::of(&data).to_string().as_bytes());
    }
    [gzip(&mended(&control)), data].concat()
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn seeds() -> Vec<Vec<u8>> {
    let pkginfo = format!(
        "# made up\npkgname = web\npkgver = 1.2-r0\npkgdesc = Serves\nurl = https://example.org\nbuilddate = 1780272000\n\
         packager = Jane\nsize = 4096\narch = x86_64\norigin = web\ncommit = 4fe5\nmaintainer = Jane <jane@example.org>\n\
         license = MIT\nreplaces_priority = 1\nprovider_priority = 2\nreplaces = other<2\ndepend = so:libc.so.6\n\
         depend = !old\nprovides = cmd:web=1.2-r0\ninstall_if = a b=1\ntriggers = /usr/lib/*\n{}{:064}\n",
        String::from_utf8_lossy(HASH_KEY),
        0
    );
    let control = archive(&[file(".PKGINFO", &pkginfo), file(".post-install", "#!/bin/sh\n")]);
    let data = archive(&[entries(), vec![file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n")]].concat());
    let parts = joined(&control, &data);
    let two_streams = [packed(&parts), gzip(&archive(&[file("usr/more", "more")]))].concat();
    vec![packed(&parts), parts, two_streams]
}

fn file(path: &str, content: &str) -> (Entry, Vec<u8>) {
    let mut entry = Entry::new(path, EntryKind::File, 0o644);
    entry.size = content.len() as u64;
    (entry, content.as_bytes().to_vec())
}

fn archive(entries: &[(Entry, Vec<u8>)]) -> Vec<u8> {
    let mut archive = Vec::new();
    for (entry, content) in entries {
        tar::append(&mut archive, entry, &mut &**content).unwrap();
    }
    archive
}
