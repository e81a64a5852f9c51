//! Reads `.deb` files: an ar archive of two compressed tar archives (`deb(5)`).

use std::io::{self, BufReader, Read, Seek, SeekFrom};

use fs_err as fs;
use object::ReadCache;
use object::read::archive::{ArchiveFile, ArchiveMember};

/// The largest unpacked package, in bytes: 2 GiB.
const UNPACKED_LIMIT: u64 = 2 << 30;

/// The largest control file, in bytes: 1 MiB. Debian's largest has some tens of kilobytes.
const CONTROL_LIMIT: u64 = 1 << 20;

/// Debian's packages have three members; signed ones have a few more.
const MEMBERS: usize = 16;

/// A package's control file and its files.
#[derive(Debug)]
pub(super) struct Deb {
    /// The text of the control file.
    pub control: String,
    /// Its files, in the archive's order.
    pub entries: Vec<Entry>,
}

/// A file, directory or link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// The path from the root, without a slash at either end.
    pub path: String,
    pub kind: Kind,
    /// Permission bits, including setuid, setgid and sticky.
    pub mode: u32,
    /// Number of the owner in the archive.
    pub uid: u64,
    /// Number of the group in the archive.
    pub gid: u64,
    pub user: String,
    pub group: String,
    /// Seconds since 1970.
    pub mtime: u64,
}

/// What an entry is, with its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Directory,
    /// A file with this content.
    File(Vec<u8>),
    /// A symbolic link to this target.
    Symlink(String),
    /// A further name of the file with this path.
    Hardlink(String),
}

/// Why a `.deb` could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DebError {
    /// Reading failed, or the archive is damaged.
    #[error("can't read the package")]
    Read(#[from] io::Error),
    /// The outer archive is damaged, or none.
    #[error("it is not an ar archive")]
    Archive(#[from] object::read::Error),
    /// A member of the outer archive is missing.
    #[error("it has no {member}, so it is not a Debian package")]
    Missing { member: &'static str },
    /// A member has an unknown compression.
    #[error("member {member:?} has an unknown compression: expected .xz, .zst, .gz or none")]
    Compression { member: String },
    /// A path leaves the root, or is not UTF-8.
    #[error("unsafe path {path:?}")]
    Path { path: String },
    /// A device, or another kind of entry that can't be imported.
    #[error("{path:?} is a device or something else that can't be imported (tar type {kind:?})")]
    Kind { path: String, kind: char },
    /// The package is too large when unpacked.
    #[error("it unpacks to more than {limit} bytes")]
    TooLarge { limit: u64 },
    /// The control file is too large.
    #[error("its control file has more than {limit} bytes")]
    ControlTooLarge { limit: u64 },
}

impl Deb {
    /// Reads the package at `path`, without the files that `keep` rejects.
    pub(super) fn open(path: &camino::Utf8Path, keep: impl Fn(&str) -> bool) -> Result<Self, DebError> {
        Self::read(BufReader::new(fs::File::open(path)?), keep)
    }

    /// Reads a package; see [`Deb::open`].
    pub(super) fn read(mut file: impl Read + Seek, keep: impl Fn(&str) -> bool) -> Result<Self, DebError> {
        let mut control = None;
        let mut entries = None;
        for Member { name, offset, size } in members(&mut file)? {
            file.seek(SeekFrom::Start(offset))?;
            let content = (&mut file).take(size);
            if let Some(compression) = name.strip_prefix("control.tar") {
                control = Some(read_control(unpack(content, compression, &name)?)?);
            } else if let Some(compression) = name.strip_prefix("data.tar") {
                entries = Some(read_data(unpack(content, compression, &name)?, &keep)?);
            }
        }
        Ok(Self {
            control: control.flatten().ok_or(DebError::Missing { member: "control file" })?,
            entries: entries.ok_or(DebError::Missing { member: "data.tar" })?,
        })
    }
}

/// A member of the outer archive, and where its content is in the file.
struct Member {
    name: String,
    offset: u64,
    size: u64,
}

fn members(file: &mut (impl Read + Seek)) -> Result<Vec<Member>, DebError> {
    let length = file.seek(SeekFrom::End(0))?;
    let cache = ReadCache::new(file);
    let archive = ArchiveFile::parse(&cache)?;
    let member = |member: object::read::Result<ArchiveMember<'_>>| {
        let member = member?;
        let (offset, size) = member.file_range();
        if offset.saturating_add(size) > length {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        Ok(Member { name: String::from_utf8_lossy(member.name()).into_owned(), offset, size })
    };
    archive.members().take(MEMBERS).map(member).collect()
}

fn unpack<'a>(member: impl Read + 'a, compression: &str, name: &str) -> Result<Box<dyn Read + 'a>, DebError> {
    let reader: Box<dyn Read + 'a> = match compression {
        "" => Box::new(member),
        ".xz" => Box::new(liblzma::read::XzDecoder::new(member)),
        ".zst" => Box::new(zstd::Decoder::new(member)?),
        ".gz" => Box::new(flate2::read::GzDecoder::new(member)),
        _ => return Err(DebError::Compression { member: name.to_owned() }),
    };
    Ok(Box::new(reader.take(UNPACKED_LIMIT)))
}

fn read_control(reader: impl Read) -> Result<Option<String>, DebError> {
    let mut archive = tar::Archive::new(reader);
    for entry in archive.entries()? {
        let entry = entry?;
        if matches!(&*entry.path_bytes(), b"./control" | b"control") {
            let mut text = Vec::new();
            entry.take(CONTROL_LIMIT + 1).read_to_end(&mut text)?;
            if text.len() as u64 > CONTROL_LIMIT {
                return Err(DebError::ControlTooLarge { limit: CONTROL_LIMIT });
            }
            return Ok(Some(String::from_utf8_lossy(&text).into_owned()));
        }
    }
    Ok(None)
}

fn read_data(reader: impl Read, keep: &impl Fn(&str) -> bool) -> Result<Vec<Entry>, DebError> {
    let mut entries = Vec::new();
    let mut total = 0_u64;
    let mut archive = tar::Archive::new(reader);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = clean_path(&entry.path_bytes())?;
        total = total.saturating_add(entry.size());
        if total >= UNPACKED_LIMIT {
            return Err(DebError::TooLarge { limit: UNPACKED_LIMIT });
        }
        let path = usr_merged(path);
        let top = path.is_empty() || (MERGED.contains(&path.as_str()) && entry.header().entry_type().is_dir());
        if top || !keep(&path) {
            continue;
        }
        if let Some(kind) = read_kind(&mut entry, &path)? {
            entries.push(with_attributes(path, kind, entry.header())?);
        }
    }
    Ok(entries)
}

/// `None` for FIFOs: layers can't contain them, and programs create their own.
fn read_kind(entry: &mut tar::Entry<'_, impl Read>, path: &str) -> Result<Option<Kind>, DebError> {
    let target = |entry: &tar::Entry<'_, _>| {
        let bytes = entry.link_name_bytes().unwrap_or_default();
        String::from_utf8(bytes.into_owned()).map_err(|_| DebError::Path { path: path.to_owned() })
    };
    Ok(Some(match entry.header().entry_type() {
        tar::EntryType::Directory => Kind::Directory,
        tar::EntryType::Regular | tar::EntryType::Continuous => {
            let mut content = Vec::new();
            entry.read_to_end(&mut content)?;
            Kind::File(content)
        }
        tar::EntryType::Symlink => Kind::Symlink(target(entry)?),
        tar::EntryType::Link => Kind::Hardlink(usr_merged(clean_path(target(entry)?.as_bytes())?)),
        tar::EntryType::Fifo => return Ok(None),
        other => return Err(DebError::Kind { path: path.to_owned(), kind: char::from(other.as_byte()) }),
    }))
}

fn with_attributes(path: String, kind: Kind, header: &tar::Header) -> Result<Entry, DebError> {
    let name = |name: Option<&[u8]>| String::from_utf8_lossy(name.unwrap_or_default()).into_owned();
    Ok(Entry {
        path,
        kind,
        mode: header.mode()? & 0o7777,
        uid: header.uid()?,
        gid: header.gid()?,
        user: name(header.username_bytes()),
        group: name(header.groupname_bytes()),
        mtime: header.mtime()?,
    })
}

/// The root directories that are links into `usr`.
const MERGED: [&str; 4] = ["bin", "lib", "lib64", "sbin"];

/// `lib/x` becomes `usr/lib/x`, where the link would lead if there were one for `lib`.
fn usr_merged(path: String) -> String {
    match path.split_once('/') {
        Some((first, _)) if MERGED.contains(&first) => format!("usr/{path}"),
        _ => path,
    }
}

/// `./usr/bin/` is `usr/bin`.
fn clean_path(bytes: &[u8]) -> Result<String, DebError> {
    let unsafe_path = || DebError::Path { path: String::from_utf8_lossy(bytes).into_owned() };
    let text = std::str::from_utf8(bytes).map_err(|_| unsafe_path())?;
    let text = text.strip_prefix("./").unwrap_or(text).trim_end_matches('/');
    let text = if text == "." { "" } else { text };
    let hostile = text.starts_with('/') || text.contains('\0') || text.split('/').any(|part| part == "..");
    if hostile { Err(unsafe_path()) } else { Ok(text.to_owned()) }
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Cursor;

    use super::*;

    /// A small package: ar of an xz control.tar and a data.tar in the given compression.
    pub(in crate::debian) fn made_up(control: &str, compression: &str, data: &[u8]) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        append(&mut tar, "./control", b'0', 0o644, control.as_bytes(), "");
        let control = tar.into_inner().unwrap();
        let mut archive = b"!<arch>\n".to_vec();
        let mut add = |name: &str, bytes: &[u8]| {
            let size = bytes.len();
            archive.extend(format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`\n", 0, 0, 0, 100_644).into_bytes());
            archive.extend(bytes);
            archive.extend(&b"\n"[..size % 2]);
        };
        add("debian-binary", b"2.0\n");
        add("control.tar.xz", &pack(".xz", &control));
        add(&format!("data.tar{compression}"), &pack(compression, data));
        archive
    }

    fn pack(compression: &str, bytes: &[u8]) -> Vec<u8> {
        let mut packed = Vec::new();
        match compression {
            ".xz" => liblzma::read::XzEncoder::new(bytes, 1).read_to_end(&mut packed),
            ".zst" => zstd::Encoder::new(&mut packed, 1).unwrap().auto_finish().write_all_of(bytes),
            ".gz" => flate2::read::GzEncoder::new(bytes, flate2::Compression::fast()).read_to_end(&mut packed),
            _ => bytes.to_vec().as_slice().read_to_end(&mut packed),
        }
        .unwrap();
        packed
    }

    trait WriteAllOf {
        fn write_all_of(&mut self, bytes: &[u8]) -> io::Result<usize>;
    }

    impl<W: io::Write> WriteAllOf for W {
        fn write_all_of(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.write_all(bytes).map(|()| bytes.len())
        }
    }

    pub(in crate::debian) fn append(
        tar: &mut tar::Builder<Vec<u8>>,
        path: &str,
        kind: u8,
        mode: u32,
        content: &[u8],
        link: &str,
    ) {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(tar::EntryType::new(kind));
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_username("root").unwrap();
        header.set_groupname("root").unwrap();
        header.set_mtime(1_700_000_000);
        header.set_size(content.len() as u64);
        header.set_cksum();
        tar.append(&header, content).unwrap();
    }

    fn data(entries: &[(&str, u8, &[u8], &str)]) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        for (path, kind, content, link) in entries {
            append(&mut tar, path, *kind, 0o755, content, link);
        }
        tar.into_inner().unwrap()
    }

    #[test]
    fn reads_every_compression() {
        let data = data(&[
            ("./", b'5', b"", ""),
            ("./usr/", b'5', b"", ""),
            ("./usr/a", b'0', b"text", ""),
            ("./usr/b", b'2', b"", "a"),
            ("./usr/c", b'1', b"", "./usr/a"),
            ("./usr/fifo", b'6', b"", ""),
            ("./usr/left-out", b'0', b"xx", ""),
        ]);
        for compression in ["", ".xz", ".zst", ".gz"] {
            let deb = made_up("Package: a\n", compression, &data);
            let deb = Deb::read(Cursor::new(&*deb), |path| path != "usr/left-out").unwrap();
            assert_eq!(deb.control, "Package: a\n");
            let seen: Vec<_> = deb.entries.iter().map(|entry| (entry.path.as_str(), entry.kind.clone())).collect();
            assert_eq!(
                seen,
                [
                    ("usr", Kind::Directory),
                    ("usr/a", Kind::File(b"text".to_vec())),
                    ("usr/b", Kind::Symlink("a".into())),
                    ("usr/c", Kind::Hardlink("usr/a".into())),
                ]
            );
            assert_eq!((deb.entries[1].mode, deb.entries[1].mtime), (0o755, 1_700_000_000));
        }
    }

    #[test]
    fn moves_the_directories_of_the_root_into_usr() {
        let entries = [("./lib/", b'5', &b""[..], ""), ("./lib/a/", b'5', b"", ""), ("./lib/a/b", b'0', b"", "")];
        let links = [("./sbin/c", b'1', &b""[..], "./lib/a/b"), ("./bin", b'2', b"", "usr/bin")];
        let deb = made_up("Package: a\n", "", &data(&[&entries[..], &links[..]].concat()));
        let deb = Deb::read(Cursor::new(&*deb), |_| true).unwrap();
        let paths: Vec<_> = deb.entries.iter().map(|entry| entry.path.as_str()).collect();
        assert_eq!(paths, ["usr/lib/a", "usr/lib/a/b", "usr/sbin/c", "bin"]);
        assert_eq!(deb.entries[2].kind, Kind::Hardlink("usr/lib/a/b".into()));
    }

    #[test]
    fn refuses_hostile_paths_and_devices() {
        for path in ["../a", "/etc/passwd", "./usr/../../a"] {
            let deb = made_up("Package: a\n", "", &data(&[(path, b'0', b"", "")]));
            assert!(matches!(Deb::read(Cursor::new(&*deb), |_| true), Err(DebError::Path { .. })), "{path}");
        }
        let deb = made_up("Package: a\n", "", &data(&[("./dev/null", b'3', b"", "")]));
        assert!(matches!(Deb::read(Cursor::new(&*deb), |_| true), Err(DebError::Kind { kind: '3', .. })));
    }

    #[test]
    fn refuses_what_is_no_package() {
        assert!(Deb::read(Cursor::new(&b"!<arch>\n"[..]), |_| true).is_err());
        assert!(Deb::read(Cursor::new(&b"<html>"[..]), |_| true).is_err());
        let deb = made_up(&"a".repeat(1 << 20 | 1), "", &[]);
        assert!(matches!(Deb::read(Cursor::new(&*deb), |_| true), Err(DebError::ControlTooLarge { limit: 1_048_576 })));
        let deb = made_up("Package: a\n", ".lzma", &[]);
        assert!(matches!(Deb::read(Cursor::new(&*deb), |_| true), Err(DebError::Compression { .. })));
        let whole = made_up("Package: a\n", ".xz", &data(&[("./a", b'0', &[7; 9000], "")]));
        assert!(Deb::read(Cursor::new(&whole[..whole.len() - 60]), |_| true).is_err(), "a cut package");
    }
}
