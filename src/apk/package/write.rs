//! Writes packages: the same files and fields give the same bytes.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};

use sha1::Digest as _;

use super::{Info, InfoError, Script};
use crate::apk::signature::{KeyError, SigningKey};
use crate::apk::tar::{self, Entry, EntryKind};
use crate::apk::{Checksum, Package, gzip};
use crate::digest::{Hashing, Sha256};

/// The most data that can be packed, in uncompressed bytes: it is held in memory.
const DATA_LIMIT: usize = 3 << 30;

/// Why a package can't be made.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Reading a file's content, or writing the package, failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The fields can't be written.
    #[error("can't write the package's fields")]
    Info(#[from] InfoError),
    #[error("can't sign the package")]
    Key(#[from] KeyError),
    #[error("the package's files exceed {DATA_LIMIT} bytes")]
    TooLarge,
    /// The same path twice.
    #[error("{path:?} was added twice")]
    Twice { path: String },
    /// A link or directory whose parent is something else.
    #[error("{path:?} is below a path that is not a directory")]
    BelowFile { path: String },
    /// A hard link to something that was not added before it.
    #[error("{path:?} is a hard link to {target:?}, which is not an earlier file")]
    DanglingHardlink { path: String, target: String },
}

/// Collects the files of a package.
///
/// Missing parent directories are added, owned by root and with mode 0755, because other tools expect an entry for
/// every parent. Files and symbolic links carry their SHA-1, as apk expects.
#[derive(Debug)]
pub struct PackageWriter {
    archive: Vec<u8>,
    mtime: i64,
    files: BTreeSet<Vec<u8>>,
    directories: BTreeSet<Vec<u8>>,
    links: BTreeSet<Vec<u8>>,
    content_size: u64,
}

/// A package that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Bytes of the file.
    pub size: u64,
    /// SHA-256 of the file.
    pub sha256: Sha256,
    /// SHA-256 of the data member.
    pub data_hash: Sha256,
    /// The package as an index lists it, with file size and checksum.
    pub package: Package,
}

impl PackageWriter {
    /// Starts a package. `mtime`, in seconds since 1970, is used for parent directories that are added automatically.
    #[must_use]
    pub fn new(mtime: i64) -> Self {
        Self {
            archive: Vec::new(),
            mtime,
            files: BTreeSet::new(),
            directories: BTreeSet::new(),
            links: BTreeSet::new(),
            content_size: 0,
        }
    }

    /// Bytes of all files so far.
    #[must_use]
    pub fn content_size(&self) -> u64 {
        self.content_size
    }

    /// Adds an entry; entries keep their order. For a file, `content` must yield `entry.size` bytes; otherwise it isn't
    /// read. The entry's checksum is computed.
    pub fn add(&mut self, entry: &Entry, content: &mut impl Read) -> Result<(), WriteError> {
        self.add_parents(&entry.path)?;
        self.register(entry)?;
        let mut entry = entry.clone();
        let begin = self.archive.len();
        match &entry.kind {
            EntryKind::File => {
                // Reserve space for the checksum, which is known only after copying the content.
                entry.checksum = Some(Checksum::from([0; 20]));
                let mut hashing = Sha1Reader { inner: content, hasher: sha1::Sha1::new() };
                tar::append(&mut self.archive, &entry, &mut hashing)?;
                entry.checksum = Some(Checksum::from(<[u8; 20]>::from(hashing.hasher.finalize())));
                let header = tar::header(&entry);
                for (to, from) in self.archive.iter_mut().skip(begin).zip(header) {
                    *to = from;
                }
                self.content_size += entry.size;
            }
            EntryKind::Symlink(target) => {
                entry.checksum = Some(Checksum::of(target));
                self.archive.extend(tar::header(&Entry { size: 0, ..entry }));
            }
            _ => self.archive.extend(tar::header(&Entry { size: 0, checksum: None, ..entry })),
        }
        if self.archive.len() > DATA_LIMIT { Err(WriteError::TooLarge) } else { Ok(()) }
    }

    /// Adds the missing parent directories of a path.
    fn add_parents(&mut self, path: &[u8]) -> Result<(), WriteError> {
        let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(position, _)| position);
        for parent in slashes.filter_map(|position| path.get(..position)) {
            if self.files.contains(parent) || self.links.contains(parent) {
                return Err(WriteError::BelowFile { path: String::from_utf8_lossy(path).into_owned() });
            }
            if !self.directories.contains(parent) {
                let mut entry = Entry::new(parent, EntryKind::Directory, 0o755);
                entry.mtime = self.mtime;
                self.archive.extend(tar::header(&entry));
                self.directories.insert(parent.to_vec());
            }
        }
        Ok(())
    }

    fn register(&mut self, entry: &Entry) -> Result<(), WriteError> {
        let path = || entry.display_path().into_owned();
        if [&self.files, &self.directories, &self.links].iter().any(|set| set.contains(&entry.path)) {
            return Err(WriteError::Twice { path: path() });
        }
        let set = match &entry.kind {
            EntryKind::Directory => &mut self.directories,
            EntryKind::Hardlink(target) if !self.files.contains(target) => {
                let target = String::from_utf8_lossy(target).into_owned();
                return Err(WriteError::DanglingHardlink { path: path(), target });
            }
            EntryKind::File | EntryKind::Hardlink(_) => &mut self.files,
            _ => &mut self.links,
        };
        set.insert(entry.path.clone());
        Ok(())
    }

    /// Writes the package: data as one gzip stream, `info` with its hash and `scripts` as control, and a signature if
    /// there is a key.
    ///
    /// An installed size of 0 is replaced by the size of the files, at least 1: apk doesn't unpack packages with size
    /// 0.
    pub fn finish(
        mut self,
        info: &Info,
        scripts: &[Script],
        key: Option<&SigningKey>,
        sink: &mut impl Write,
    ) -> Result<Written, WriteError> {
        tar::end(&mut self.archive);
        let data = gzip::compress(&self.archive);
        drop(self.archive);
        let data_hash = Sha256::of(&data);
        let mut info = Info { data_hash: Some(data_hash), ..info.clone() };
        if info.package.installed_size == 0 {
            info.package.installed_size = self.content_size.max(1);
        }
        let control = control(&info, scripts)?;
        let mut sink = Hashing::new(sink);
        if let Some(key) = key {
            sink.write_all(&key.sign(&control)?)?;
        }
        sink.write_all(&control)?;
        sink.write_all(&data)?;
        sink.flush()?;
        let (sha256, size, _) = sink.finish();
        let checksum = Some(Checksum::of(&control));
        let package = Package { file_size: Some(size), checksum, ..info.package };
        Ok(Written { size, sha256, data_hash, package })
    }
}

/// The control member. Like in apk-tools' own packages, its archive has no end blocks, so that readers continue into
/// the data.
pub(super) fn control(info: &Info, scripts: &[Script]) -> Result<Vec<u8>, WriteError> {
    let mtime = i64::try_from(info.package.build_time.unwrap_or_default()).unwrap_or(i64::MAX);
    let mut archive = Vec::new();
    let mut append = |name: &str, mode, content: &[u8]| {
        let mut entry = Entry::new(name, EntryKind::File, mode);
        entry.size = content.len() as u64;
        entry.mtime = mtime;
        tar::append(&mut archive, &entry, &mut &*content)
    };
    append(".PKGINFO", 0o644, info.write()?.as_bytes())?;
    for script in scripts {
        append(&format!(".{}", script.kind), 0o755, &script.text)?;
    }
    Ok(gzip::compress(&archive))
}

struct Sha1Reader<'a, R> {
    inner: &'a mut R,
    hasher: sha1::Sha1,
}

impl<R: Read> Read for Sha1Reader<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.hasher.update(buffer.get(..n).unwrap_or_default());
        Ok(n)
    }
}
