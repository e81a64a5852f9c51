//! The same archive, as each reader lists it.

use std::io::{self, Read as _};
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

use mailimg::apk::tar::{Entries, Entry, EntryKind};
use mailimg::digest::{Hashing, Sha256};

use crate::foreign;

/// What readers have to agree about.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Listed {
    kind: String,
    mode: u32,
    owner: (u64, u64),
    size: u64,
    /// Seconds since 1970. GNU tar lists only minutes, so there it is 0.
    mtime: i64,
    content: Sha256,
    name: Vec<u8>,
    target: Vec<u8>,
}

impl std::fmt::Debug for Listed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { kind, mode, owner, size, mtime, content, name, target } = self;
        let (name, target) = (name.escape_ascii(), target.escape_ascii());
        write!(f, "{kind} {mode:o} {owner:?} {size} {mtime} {name:.200} {target:.200} {:.8}", content.to_string())
    }
}

/// The entries without their times.
pub(crate) fn timeless(entries: &[Listed]) -> Vec<Listed> {
    entries.iter().map(|entry| Listed { mtime: 0, ..entry.clone() }).collect()
}

/// All entries, or why they can't be read.
pub(crate) type Listing = Result<Vec<Listed>, String>;

/// What we read.
pub(crate) struct Ours {
    pub(crate) entries: Vec<Listed>,
    pub(crate) is_portable: bool,
}

pub(crate) fn by_us(archive: &[u8]) -> Result<Ours, String> {
    let mut entries = Entries::new(archive);
    let mut listed = Vec::new();
    while let Some(entry) = entries.next().map_err(|error| error.to_string())? {
        let Entry { path, kind, mode, uid, gid, size, mtime, .. } = entry;
        let mut content = Hashing::new(io::sink());
        io::copy(&mut entries.content(), &mut content).map_err(|error| error.to_string())?;
        let (content, ..) = content.finish();
        let target = kind.target().unwrap_or_default().to_vec();
        let kind = word(&kind).to_owned();
        let owner = (uid.into(), gid.into());
        listed.push(Listed { kind, mode, owner, size, mtime, content, name: path, target });
    }
    Ok(Ours { entries: listed, is_portable: entries.is_portable() })
}

fn word(kind: &EntryKind) -> &'static str {
    match kind {
        EntryKind::File => "file",
        EntryKind::Directory => "directory",
        EntryKind::Symlink(_) => "symlink",
        EntryKind::Hardlink(_) => "hardlink",
        EntryKind::CharDevice(_) => "character",
        EntryKind::BlockDevice(_) => "block",
        EntryKind::Fifo => "fifo",
    }
}

/// A name without what only directories end with.
fn name(kind: &str, mut name: Vec<u8>) -> Vec<u8> {
    while kind == "directory" && name.ends_with(b"/") {
        name.pop();
    }
    name
}

fn only_of_links(kind: &str, target: Vec<u8>) -> Vec<u8> {
    if kind.ends_with("link") { target } else { Vec::new() }
}

pub(crate) fn by_rust(archive: &[u8]) -> Listing {
    let mut reader = tar::Archive::new(archive);
    let mut listed = Vec::new();
    let told = |error: io::Error| error.to_string();
    for entry in reader.entries().map_err(told)? {
        let mut entry = entry.map_err(told)?;
        let header = entry.header();
        let kind = match header.entry_type() {
            tar::EntryType::Regular => "file".to_owned(),
            tar::EntryType::Directory => "directory".to_owned(),
            tar::EntryType::Symlink => "symlink".to_owned(),
            tar::EntryType::Link => "hardlink".to_owned(),
            tar::EntryType::Char => "character".to_owned(),
            tar::EntryType::Block => "block".to_owned(),
            tar::EntryType::Fifo => "fifo".to_owned(),
            other => format!("{other:?}"),
        };
        let mode = header.mode().map_err(told)? & 0o7777;
        let owner = (header.uid().map_err(told)?, header.gid().map_err(told)?);
        let mtime = header.mtime().map_err(told)?.cast_signed();
        let target = entry.link_name_bytes().unwrap_or_default().into_owned();
        let (path, size) = (entry.path_bytes().into_owned(), entry.size());
        let mut content = Hashing::new(io::sink());
        io::copy(&mut entry, &mut content).map_err(told)?;
        let (content, ..) = content.finish();
        let (name, target) = (name(&kind, path), only_of_links(&kind, target));
        listed.push(Listed { kind, mode, owner, size, mtime, content, name, target });
    }
    Ok(listed)
}

/// Lists many archives in one process.
pub(crate) fn by_go(archives: &[Vec<u8>]) -> Vec<Listing> {
    let directory = tempfile::tempdir().unwrap();
    let input = directory.path().join("archives");
    let framed = archives.iter().flat_map(|archive| {
        let length = u32::try_from(archive.len()).unwrap().to_be_bytes();
        length.into_iter().chain(archive.iter().copied())
    });
    std::fs::write(&input, framed.collect::<Vec<u8>>()).unwrap();
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/readers/readers.go");
    let output = foreign::run(
        // Only what Go brings: nothing is downloaded.
        Command::new("go").args(["run"]).arg(program).arg(&input).env("GOTOOLCHAIN", "local").env("GOFLAGS", ""),
    );
    let mut listings = Vec::new();
    let mut entries = Vec::new();
    for line in output.lines() {
        match line.split_once(' ') {
            None => listings.push(Ok(std::mem::take(&mut entries))),
            Some(("error", error)) => {
                entries.clear();
                listings.push(Err(error.to_owned()));
            }
            Some(_) => entries.push(go_entry(line)),
        }
    }
    assert_eq!(listings.len(), archives.len());
    listings
}

fn go_entry(line: &str) -> Listed {
    let [kind, mode, uid, gid, size, mtime, content, path, target] = line.split(' ').collect::<Vec<_>>()[..] else {
        panic!("{line}")
    };
    let number = |text: &str| text.parse::<i64>().unwrap().cast_unsigned();
    Listed {
        kind: kind.to_owned(),
        mode: u32::from_str_radix(mode, 8).unwrap(),
        owner: (number(uid), number(gid)),
        size: number(size),
        mtime: mtime.parse().unwrap(),
        content: content.parse().unwrap(),
        name: name(kind, hex::decode(path).unwrap()),
        target: only_of_links(kind, hex::decode(target).unwrap()),
    }
}

/// GNU tar reads one archive a process, so several run at once.
pub(crate) fn by_gnu_tar<'a>(archives: impl Iterator<Item = &'a Vec<u8>>) -> Vec<Listing> {
    let archives: Vec<_> = archives.collect();
    let listings = Mutex::new(vec![Ok(Vec::new()); archives.len()]);
    let next = Mutex::new(0..archives.len());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let directory = tempfile::tempdir().unwrap();
                loop {
                    let Some(number) = next.lock().unwrap().next() else { return };
                    let listing = gnu_listing(archives[number], directory.path());
                    listings.lock().unwrap()[number] = listing;
                }
            });
        }
    });
    listings.into_inner().unwrap()
}

/// Prints the content of all files to standard output, and the list to standard error.
fn gnu_listing(archive: &[u8], directory: &Path) -> Listing {
    let file = directory.join("archive.tar");
    std::fs::write(&file, archive).unwrap();
    let mut tar = Command::new("tar");
    tar.args([
        "--extract",
        "--to-stdout",
        "--verbose",
        "--verbose",
        "--numeric-owner",
        "--quoting-style=escape",
        "--file",
    ]);
    tar.arg(&file).current_dir(directory).env("LC_ALL", "C").env("TZ", "UTC");
    let output = tar.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    if !output.status.success() {
        return Err(said);
    }
    let mut content = output.stdout.as_slice();
    let is_entry = |line: &&str| !line.starts_with("tar: ");
    let listed = said.lines().filter(is_entry).map(|line| gnu_entry(line, &mut content)).collect::<Vec<_>>();
    if content.is_empty() { Ok(listed) } else { Err(format!("{} more bytes of content", content.len())) }
}

/// A line such as `-rw-r--r-- 0/0  5 1970-01-01 00:00 name`.
fn gnu_entry(line: &str, content: &mut &[u8]) -> Listed {
    let mut rest = line;
    let mut word = || {
        let (word, more) = rest.trim_start_matches(' ').split_once(' ').unwrap_or_else(|| panic!("{line}"));
        rest = more;
        word
    };
    let (mode, owner, size, date) = (word(), word(), word(), word());
    // A time that has no date is a number of seconds.
    if date.get(1..).is_some_and(|date| date.contains('-')) {
        word();
    }
    // Dates are as wide as the widest so far.
    let rest = rest.trim_start_matches(' ');
    let (kind, infix) = match mode.as_bytes()[0] {
        b'-' => ("file", None),
        b'd' => ("directory", None),
        b'l' => ("symlink", Some(" -> ")),
        b'h' => ("hardlink", Some(" link to ")),
        b'c' => ("character", None),
        b'b' => ("block", None),
        b'p' => ("fifo", None),
        _ => panic!("{line}"),
    };
    let (path, target) = infix.map_or((rest, ""), |infix| rest.split_once(infix).unwrap_or_else(|| panic!("{line}")));
    let (uid, gid) = owner.split_once('/').unwrap();
    let size = if ["character", "block"].contains(&kind) { 0 } else { size.parse().unwrap() };
    let own = if kind == "file" { size } else { 0 };
    let mut hashing = Hashing::new(io::sink());
    io::copy(&mut content.take(own), &mut hashing).unwrap();
    let (hash, found, _) = hashing.finish();
    assert_eq!(found, own, "{line}");
    Listed {
        kind: kind.to_owned(),
        mode: permissions(&mode[1..]),
        owner: (uid.parse().unwrap(), gid.parse().unwrap()),
        size,
        mtime: 0,
        content: hash,
        name: name(kind, unescaped(path)),
        target: unescaped(target),
    }
}

/// `rwsr-x--T` as a number.
fn permissions(text: &str) -> u32 {
    let text = text.as_bytes();
    let mut mode = 0;
    for (place, letters) in text.chunks(3).enumerate() {
        let shift = 6 - 3 * u32::try_from(place).unwrap();
        let special = 0o4000 >> place;
        let bits = [(letters[0] == b'r', 4), (letters[1] == b'w', 2), (b"xst".contains(&letters[2]), 1)];
        mode |= bits.into_iter().filter(|(set, _)| *set).map(|(_, bit)| bit << shift).sum::<u32>();
        if b"sStT".contains(&letters[2]) {
            mode |= special;
        }
    }
    mode
}

fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        let escaped = rest.next().unwrap();
        bytes.push(match escaped {
            b'a' => 7,
            b'b' => 8,
            b't' => b'\t',
            b'n' => b'\n',
            b'v' => 11,
            b'f' => 12,
            b'r' => b'\r',
            b'0'..=b'3' => {
                let digits = [escaped, rest.next().unwrap(), rest.next().unwrap()];
                digits.iter().fold(0, |value, digit| value * 8 + (digit - b'0'))
            }
            other => other,
        });
    }
    bytes
}
