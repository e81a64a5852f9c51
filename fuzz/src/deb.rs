//! Debian packages and their control files. mailimg imports them with apt, and has no public function that reads one, so
//! its source is compiled in here.

use std::io::{Cursor, Write as _};

use crate::common::{Outcome, Target, mended};

#[allow(dead_code)]
#[path = "../../src/debian/control.rs"]
mod control;
#[allow(dead_code)]
#[path = "../../src/debian/deb.rs"]
mod package;

use control::Paragraph;
use package::{Deb, Kind};

pub const TARGET: Target = Target { check, seeds };

fn check(input: &[u8]) -> Outcome {
    if !input.starts_with(b"!<arch>\n") {
        read_control(std::str::from_utf8(input)?);
        return Ok(());
    }
    let deb = Deb::read(Cursor::new(with_mended_archives(input)), |path| !path.ends_with(".gz"))?;
    read_control(&deb.control);
    for entry in &deb.entries {
        assert_safe(&entry.path);
        if let Kind::Hardlink(target) = &entry.kind {
            assert_safe(target);
        }
        assert!(entry.mode <= 0o7777);
    }
    Ok(())
}

fn assert_safe(path: &str) {
    assert!(!path.starts_with('/') && !path.ends_with('/') && !path.contains('\0'), "{path:?}");
    assert!(path.split('/').all(|part| part != ".."), "{path:?}");
}

fn read_control(text: &str) {
    for paragraph in Paragraph::parse_all(text) {
        assert!(["Package", "Depends", "Description"].iter().all(|name| {
            let first = paragraph.first_line(name);
            first.is_none() || paragraph.get(name).is_some_and(|value| value.starts_with(first.unwrap_or_default()))
        }));
        assert!(paragraph.relations("Depends").iter().flatten().all(|name| !name.is_empty()));
    }
}

/// Mends the members that are plain tar archives.
fn with_mended_archives(input: &[u8]) -> Vec<u8> {
    const HEADER: usize = 60;
    let mut deb = input.to_vec();
    let mut offset = 8;
    while let Some(header) = deb.get(offset..offset + HEADER) {
        let size = std::str::from_utf8(&header[48..58]).ok().and_then(|size| size.trim().parse::<usize>().ok());
        let is_plain = header.starts_with(b"control.tar ") || header.starts_with(b"data.tar ");
        let Some(size) = size.filter(|size| *size < deb.len()) else { break };
        let end = deb.len().min(offset + HEADER + size);
        if is_plain {
            let mended = mended(&deb[offset + HEADER..end]);
            deb[offset + HEADER..end].copy_from_slice(&mended);
        }
        offset = end + size % 2;
    }
    deb
}

const CONTROL: &str = "Package: web\nVersion: 1:1.2-3\nArchitecture: amd64\nDepends: libc6 (>= 2.38), a | b:any [linux-any]\n\
                       # a comment\nDescription: serves\n the web\n .\n to all\n\nPackage: other\n";

fn seeds() -> Vec<Vec<u8>> {
    let data = data();
    let control = archive(&[("./control", b'0', CONTROL.as_bytes(), "")]);
    let (mut xz, mut zst, mut gz) = (Vec::new(), Vec::new(), Vec::new());
    let mut encoder = liblzma::write::XzEncoder::new(&mut xz, 1);
    encoder.write_all(&data).unwrap();
    encoder.finish().unwrap();
    zstd::stream::copy_encode(&*data, &mut zst, 1).unwrap();
    let mut encoder = flate2::write::GzEncoder::new(&mut gz, flate2::Compression::fast());
    encoder.write_all(&data).unwrap();
    encoder.finish().unwrap();
    let deb = |suffix: &str, data: &[u8]| {
        ar(&[("debian-binary", b"2.0\n"), ("control.tar", &control), (&format!("data.tar{suffix}"), data)])
    };
    vec![CONTROL.into(), deb("", &data), deb(".xz", &xz), deb(".zst", &zst), deb(".gz", &gz)]
}

fn data() -> Vec<u8> {
    archive(&[
        ("./", b'5', b"", ""),
        ("./lib/", b'5', b"", ""),
        ("./usr/web", b'0', b"text", ""),
        ("./usr/link", b'2', b"", "web"),
        ("./usr/again", b'1', b"", "./usr/web"),
        ("./usr/fifo", b'6', b"", ""),
    ])
}

fn archive(entries: &[(&str, u8, &[u8], &str)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, kind, content, target) in entries {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
        header.set_entry_type(tar::EntryType::new(*kind));
        header.set_mode(0o755);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1_700_000_000);
        header.set_size(content.len() as u64);
        header.set_cksum();
        archive.append(&header, *content).unwrap();
    }
    archive.into_inner().unwrap()
}

fn ar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = b"!<arch>\n".to_vec();
    for (name, content) in members {
        let size = content.len();
        archive.extend(format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`\n", 0, 0, 0, 100_644).into_bytes());
        archive.extend_from_slice(content);
        archive.resize(archive.len().next_multiple_of(2), b'\n');
    }
    archive
}
