//! The flat oracle: the file tree of an image from any source, and the differences between two of them.
//!
//! The tree that the product merges in memory is the truth ([`reference`]). An image's layers must give the same tree,
//! entry by entry, when our own small reader ([`layers`]) or another tool ([`archive`]) unpacks them.

pub mod archive;
pub mod hard;
pub mod layers;
pub mod reference;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use mailimg::digest::Sha256;

/// A path without a slash at either end, as bytes.
pub type Path = Vec<u8>;

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub kind: Kind,
    /// Permission bits with setuid, setgid and sticky. 0777 for links, which have none.
    pub mode: u32,
    pub uid: u64,
    pub gid: u64,
    /// Seconds since 1970.
    pub mtime: i64,
    pub xattrs: BTreeMap<String, Vec<u8>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    Directory,
    File {
        size: u64,
        sha256: Sha256,
    },
    Symlink(Path),
    Fifo,
    /// A device, by its tar type. No image contains one.
    Other(u8),
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, mode, uid, gid, mtime, xattrs } = self;
        match kind {
            Kind::Directory => write!(f, "directory")?,
            Kind::File { size, sha256 } => write!(f, "file of {size} bytes, SHA-256 {sha256}")?,
            Kind::Symlink(target) => write!(f, "link to {}", target.escape_ascii())?,
            Kind::Fifo => write!(f, "pipe")?,
            Kind::Other(kind) => write!(f, "something of tar's type {}", kind.escape_ascii())?,
        }
        write!(f, ", {mode:04o} {uid}:{gid}, time {mtime}")?;
        for (name, value) in xattrs {
            write!(f, ", {name}={}", hex::encode(value))?;
        }
        Ok(())
    }
}

/// All paths of an image except the root. Hard links share an entry, as in a file system.
#[derive(Debug, Clone, Default)]
pub struct FlatTree {
    names: BTreeMap<Path, usize>,
    entries: Vec<Entry>,
}

impl FlatTree {
    /// Puts an entry at a path, replacing what was there.
    pub fn insert(&mut self, path: Path, entry: Entry) {
        self.names.insert(path, self.entries.len());
        self.entries.push(entry);
    }

    /// Gives the entry at `target` another name. False if there is none.
    pub fn link(&mut self, path: Path, target: &[u8]) -> bool {
        let Some(entry) = self.names.get(target).copied() else { return false };
        self.names.insert(path, entry);
        true
    }

    /// Changes a directory's attributes, and keeps its content.
    pub fn replace(&mut self, path: &[u8], entry: Entry) {
        let number = self.names[path];
        self.entries[number] = entry;
    }

    /// Removes a path and everything below it.
    pub fn remove(&mut self, path: &[u8]) {
        self.names.remove(path);
        let below = [path, b"/"].concat();
        self.names.retain(|name, _| !name.starts_with(&below));
    }

    pub fn get(&self, path: &[u8]) -> Option<&Entry> {
        self.names.get(path).map(|number| &self.entries[*number])
    }

    /// Whether both paths are the same file.
    pub fn is_one_file(&self, path: &[u8], other: &[u8]) -> bool {
        self.names.contains_key(path) && self.names.get(path) == self.names.get(other)
    }

    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// For each path that shares its file with others, all names of the file, sorted.
    fn shared_names(&self) -> BTreeMap<&[u8], Vec<&[u8]>> {
        let mut names: BTreeMap<usize, Vec<&[u8]>> = BTreeMap::new();
        for (path, number) in &self.names {
            names.entry(*number).or_default().push(path);
        }
        let shared = names.into_values().filter(|names| names.len() > 1);
        shared.flat_map(|names| names.clone().into_iter().map(move |name| (name, names.clone()))).collect()
    }
}

/// A path that a tool changes by design when it unpacks an image, and how.
pub type Exception = (&'static str, Expected);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// It is created if the image has no such path.
    Made,
    /// It is created whatever the image has there.
    Replaced,
    /// The directory's time changes because something is created in it.
    Touched,
}

/// The differences between a found tree and the expected one, a line for each path.
pub fn differences(expected: &FlatTree, found: &FlatTree, exceptions: &[Exception]) -> Vec<String> {
    let has = |path: &[u8], what| exceptions.iter().any(|(it, expected)| it.as_bytes() == path && *expected == what);
    let (expected_names, found_names) = (expected.shared_names(), found.shared_names());
    let show = |entry: Option<&Entry>| entry.map_or_else(|| "nothing".to_owned(), Entry::to_string);
    let list = |names: Option<&Vec<&[u8]>>| names.map_or_else(Vec::new, |names| names.iter().map(text).collect());
    let mut lines = Vec::new();
    let paths: BTreeSet<&Path> = expected.names.keys().chain(found.names.keys()).collect();
    for path in paths {
        let (wanted, there) = (expected.get(path), found.get(path));
        let same = match (wanted, there) {
            (_, Some(_)) if has(path, Expected::Replaced) => true,
            (None, Some(_)) => has(path, Expected::Made),
            (Some(wanted), Some(there)) if has(path, Expected::Touched) => {
                wanted == &Entry { mtime: wanted.mtime, ..there.clone() }
            }
            (wanted, there) => wanted == there,
        };
        if !same {
            lines.push(format!("{}: {} expected, {} found", text(path), show(wanted), show(there)));
        }
        let (wanted, there) = (expected_names.get(path.as_slice()), found_names.get(path.as_slice()));
        if same && wanted != there {
            let (wanted, there) = (list(wanted), list(there));
            lines.push(format!("{}: one file with {wanted:?} expected, with {there:?} found", text(path)));
        }
    }
    lines
}

fn text(path: impl AsRef<[u8]>) -> String {
    String::from_utf8_lossy(path.as_ref()).into_owned()
}

/// Fails with the differences, if there are any.
pub fn assert_none(differences: &[String], what: &str) {
    let shown: String = differences.iter().take(40).fold(String::new(), |all, line| all + line + "\n");
    assert!(differences.is_empty(), "{what}: {} paths differ:\n{shown}", differences.len());
}
