//! Archives. What is read is written and read again.

use std::io::Read as _;

use mailimg::apk::tar::{self, Device, Entries, Entry, EntryKind, NAME_LIMIT, PATH_LIMIT, TarError};

use crate::common::{Outcome, Target, mended};

pub const TARGET: Target = Target { check, seeds };

/// How much content of an entry is read, in bytes: a hole of a sparse file can have a gigabyte.
const CONTENT: u64 = 1 << 18;

fn check(input: &[u8]) -> Outcome {
    match walk(input) {
        Err(TarError::HeaderChecksum { .. }) => Ok(walk(&mended(input))?),
        walked => Ok(walked?),
    }
}

fn walk(archive: &[u8]) -> Result<(), TarError> {
    let mut entries = Entries::new(archive);
    let mut end = 0;
    while let Some(entry) = entries.next()? {
        assert_safe(&entry);
        let position = entries.position();
        // Between them can be the map of a sparse file.
        assert!(end <= position.header.start && position.header.end <= position.content.start);
        end = position.content.end;
        let mut content = Vec::new();
        entries.content().take(CONTENT).read_to_end(&mut content).map_err(TarError::Read)?;
        assert_eq!(content.len() as u64, entry.size.min(CONTENT));
        if entry.size <= CONTENT {
            assert_same_again(&entry, &content);
        }
    }
    Ok(())
}

/// Nothing is outside of the directory that an archive is unpacked into.
pub fn assert_safe(entry: &Entry) {
    assert_safe_path(&entry.path);
    if let EntryKind::Hardlink(target) = &entry.kind {
        assert_safe_path(target);
    }
    assert!(entry.mode <= 0o7777);
    assert!(entry.kind == EntryKind::File || entry.size == 0);
}

fn assert_safe_path(path: &[u8]) {
    assert!(path.len() <= PATH_LIMIT && !path.contains(&0) && !path.contains(&b'\n'), "{path:?}");
    let is_name = |part: &[u8]| !part.is_empty() && part != b".." && part.len() <= NAME_LIMIT;
    assert!(path.split(|byte| *byte == b'/').all(is_name), "{path:?}");
}

fn assert_same_again(entry: &Entry, content: &[u8]) {
    let mut archive = Vec::new();
    tar::append(&mut archive, entry, &mut &*content).unwrap();
    tar::end(&mut archive);
    let mut entries = Entries::new(&*archive);
    assert_eq!(entries.next().unwrap().as_ref(), Some(entry));
    let mut again = Vec::new();
    entries.content().read_to_end(&mut again).unwrap();
    assert_eq!(again, content);
    assert_eq!(entries.next().unwrap(), None);
    assert!(entries.ended_with_blocks());
}

fn seeds() -> Vec<Vec<u8>> {
    let mut archive = Vec::new();
    for (entry, content) in entries() {
        tar::append(&mut archive, &entry, &mut &*content).unwrap();
    }
    let unended = archive.clone();
    tar::end(&mut archive);
    let sparse = [
        (&b'x', pax(&[("GNU.sparse.map", "0,1,9,1"), ("GNU.sparse.size", "20"), ("GNU.sparse.name", "sparse")])),
        (&b'g', pax(&[("mtime", "1.5"), ("uname", "somebody")])),
        (&b'L', [&[b'n'; 120][..], &[0]].concat()),
        (&b'K', b"target\0".to_vec()),
    ];
    let sparse =
        sparse.map(|(kind, extension)| [block("extension", *kind, &extension), block("name", b'0', b"ab")].concat());
    let mut old = block("old", b'S', b"ab");
    old[386..434].copy_from_slice(b"00000000000\x0000000000001\x0000000000011\x0000000000001\0");
    old[483..495].copy_from_slice(b"00000000012\0");
    [vec![archive, unended, mended(&old)], sparse.to_vec()].concat()
}

/// Entries of every kind.
pub fn entries() -> Vec<(Entry, Vec<u8>)> {
    let device = Device { major: 1, minor: 3 };
    let entry = |path: &str, kind| (Entry::new(path, kind, 0o755), Vec::new());
    let mut all = vec![
        entry("usr", EntryKind::Directory),
        entry("usr/link", EntryKind::Symlink(b"../file".to_vec())),
        entry(&format!("usr/{}", "long/".repeat(30).trim_end_matches('/')), EntryKind::Fifo),
        entry("usr/zero", EntryKind::CharDevice(device)),
        entry("usr/disk", EntryKind::BlockDevice(device)),
    ];
    let (mut file, content) = (Entry::new("usr/file", EntryKind::File, 0o4755), b"content".to_vec());
    file.size = content.len() as u64;
    file.mtime = 1_780_272_000;
    file.checksum = Some(mailimg::apk::Checksum::of(&content));
    file.xattrs.insert("user.note".to_owned(), b"value".to_vec());
    all.insert(1, (file, content));
    all.insert(2, entry("usr/again", EntryKind::Hardlink(b"usr/file".to_vec())));
    all
}

fn pax(records: &[(&str, &str)]) -> Vec<u8> {
    let record = |(key, value): &(&str, &str)| {
        let rest = format!(" {key}={value}\n");
        let length = (1..=rest.len() + 20).find(|length: &usize| length.to_string().len() + rest.len() == *length);
        format!("{}{rest}", length.expect("a length"))
    };
    records.iter().map(record).collect::<String>().into_bytes()
}

/// A header of ustar with its content.
fn block(name: &str, kind: u8, content: &[u8]) -> Vec<u8> {
    let mut block = vec![0; 512];
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[100..108].copy_from_slice(b"0000644\0");
    block[124..136].copy_from_slice(format!("{:011o}\0", content.len()).as_bytes());
    block[156] = kind;
    block[257..265].copy_from_slice(b"ustar\x0000");
    block.extend(content);
    block.resize(block.len().next_multiple_of(512), 0);
    mended(&block)
}
