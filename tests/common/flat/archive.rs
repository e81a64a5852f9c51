//! A tree from an archive: `docker export`, or GNU tar of a directory. Read by an independent library.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path as FilePath;
use std::process::{Command, Stdio};

use mailimg::digest::Hashing;
use tar::EntryType;

use super::{Entry, FlatTree, Kind, Path};

const XATTR: &str = "SCHILY.xattr.";

/// One entry of an archive.
pub struct Told {
    pub path: Path,
    pub entry: Entry,
    /// The other name of the file, if this is a hard link; `entry` then has no content.
    pub hardlink: Option<Path>,
}

/// Reads an archive of a whole file system.
pub fn read(archive: impl Read) -> FlatTree {
    let mut tree = FlatTree::default();
    for entry in tar::Archive::new(archive).entries().unwrap() {
        let Told { path, entry, hardlink } = told(&mut entry.unwrap()).unwrap();
        match hardlink {
            _ if path.is_empty() => {}
            None => tree.insert(path, entry),
            Some(target) => {
                assert!(tree.link(path.clone(), &target), "{} → {}", path.escape_ascii(), target.escape_ascii());
            }
        }
    }
    tree
}

/// Reads an entry with its content.
pub fn told(entry: &mut tar::Entry<'_, impl Read>) -> io::Result<Told> {
    let path = normal(&entry.path_bytes());
    let target = entry.link_name_bytes().map(std::borrow::Cow::into_owned);
    let mut xattrs = BTreeMap::new();
    for record in entry.pax_extensions()?.into_iter().flatten() {
        let record = record?;
        if let Some(name) = record.key().ok().and_then(|key| key.strip_prefix(XATTR)) {
            xattrs.insert(name.to_owned(), record.value_bytes().to_vec());
        }
    }
    let header = entry.header().clone();
    let kind = match header.entry_type() {
        EntryType::Directory => Kind::Directory,
        EntryType::Symlink => Kind::Symlink(target.clone().unwrap_or_default()),
        EntryType::Fifo => Kind::Fifo,
        EntryType::Regular | EntryType::Continuous | EntryType::Link | EntryType::GNUSparse => {
            let mut content = Hashing::new(io::sink());
            io::copy(entry, &mut content)?;
            let (sha256, size, _) = content.finish();
            Kind::File { size, sha256 }
        }
        other => Kind::Other(other.as_byte()),
    };
    let mode = if header.entry_type() == EntryType::Symlink { 0o777 } else { header.mode()? & 0o7777 };
    let entry =
        Entry { kind, mode, uid: header.uid()?, gid: header.gid()?, mtime: header.mtime()?.cast_signed(), xattrs };
    let hardlink = (header.entry_type() == EntryType::Link).then(|| normal(&target.unwrap_or_default()));
    Ok(Told { path, entry, hardlink })
}

/// The path without what only archives have: `./` before it, a slash after it.
fn normal(path: &[u8]) -> Path {
    let path = path.strip_suffix(b"/").unwrap_or(path);
    let path = if path == b"." { b"" } else { path.strip_prefix(b"./").unwrap_or(path) };
    path.to_vec()
}

/// Runs a program that writes an archive to its standard output.
pub fn of_command(command: &mut Command) -> FlatTree {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut output = io::BufReader::with_capacity(1 << 20, child.stdout.take().unwrap());
    let tree = read(&mut output);
    // The reader stops at the archive's end, but the writer fails if nobody reads its padding.
    assert!(io::copy(&mut output, &mut io::sink()).is_ok());
    assert!(child.wait().unwrap().success(), "{command:?}");
    tree
}

/// The options that make GNU tar record everything about the content of the directory.
pub fn tar_arguments(directory: &FilePath) -> Vec<String> {
    let xattrs = ["security.capability", "user.*"].map(|name| format!("--xattrs-include={name}"));
    let options = ["--create", "--format=pax", "--numeric-owner", "--one-file-system", "--xattrs"];
    let options = options.map(str::to_owned).into_iter().chain(xattrs);
    options.chain([format!("--directory={}", directory.display()), ".".to_owned()]).collect()
}
