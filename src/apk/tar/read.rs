//! Reading archives.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::ops::Range;

use super::sparse::{self, Segment};
use super::{BLOCK, CHECKSUM_KEY, Device, Entry, EntryKind, PathFault, XATTR_PREFIX, check_path, check_text, padded};
use crate::apk::Checksum;

/// Most bytes of PAX records, or of a GNU long name, before one entry.
const EXTENSION_LIMIT: u64 = 1 << 20;
/// Most entries of an archive.
const ENTRY_LIMIT: u64 = 2_000_000;

/// Bytes that are skipped at a time.
const SCRATCH: usize = 1 << 18;

type Block = [u8; BLOCK];
type Records = BTreeMap<String, Vec<u8>>;

/// Why an archive can't be read.
#[derive(Debug, thiserror::Error)]
pub enum TarError {
    /// The stream below failed: the disk, or the decompressor.
    #[error("reading the archive failed")]
    Read(#[source] io::Error),
    /// The archive ends within a header or a file.
    #[error("the archive is cut off at byte {offset}")]
    Truncated {
        /// Bytes that could be read.
        offset: u64,
    },
    /// A header's checksum does not fit it.
    #[error("damaged tar header at byte {offset}: its checksum does not match")]
    HeaderChecksum {
        /// Where the header begins.
        offset: u64,
    },
    /// A header's field is malformed or out of range.
    #[error("bad {field} in the tar header at byte {offset}")]
    Field {
        /// Which field.
        field: &'static str,
        /// Where the header begins.
        offset: u64,
    },
    /// PAX records are malformed.
    #[error("bad PAX records at byte {offset}: {reason}")]
    Pax {
        /// Where their header begins.
        offset: u64,
        /// What is wrong with them.
        reason: &'static str,
    },
    /// A path that no package may have.
    #[error("the path {path:?} {fault}")]
    Path {
        /// The path, with what is not UTF-8 replaced.
        path: String,
        /// What is wrong with it.
        fault: PathFault,
    },
    /// A link target that no package may have.
    #[error("the link target of {path:?} {fault}")]
    Target {
        /// Path of the link.
        path: String,
        /// What is wrong with the target.
        fault: PathFault,
    },
    /// An entry of a type that packages don't have.
    #[error("{path:?} has the unknown tar type {kind:?}")]
    Kind {
        /// Its path.
        path: String,
        /// The header's type character.
        kind: char,
    },
    /// A link, directory or device with content.
    #[error("{path:?} is a {kind} but has content of {size} bytes")]
    UnexpectedContent {
        /// Its path.
        path: String,
        /// What it is.
        kind: &'static str,
        /// Its size as declared.
        size: u64,
    },
    /// The map of a sparse file is malformed.
    #[error("{path:?} has a bad sparse map: {reason}")]
    Sparse {
        /// Its path.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Something after the end-of-archive blocks, which readers would see or not by their make.
    #[error("content after the end of the archive, at byte {offset}")]
    AfterEnd {
        /// Where it is.
        offset: u64,
    },
    /// A bound on hostile archives.
    #[error("too much in one archive: {what} beyond the limit of {limit}")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// How much is allowed.
        limit: u64,
    },
}

/// The entries of an archive, one after the other, each with its content.
#[derive(Debug)]
pub struct Entries<R> {
    source: R,
    /// Bytes read so far.
    offset: u64,
    /// Records of global PAX headers.
    global: Records,
    current: State,
    count: u64,
    ended: bool,
    portable: bool,
    position: Position,
    /// For content that is skipped.
    scratch: Vec<u8>,
}

/// Where an entry lies in the uncompressed archive.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Position {
    /// Its headers, PAX and long names included.
    pub header: Range<u64>,
    /// Its content as stored, without padding.
    pub content: Range<u64>,
}

/// What is left of the current entry's content.
#[derive(Debug, Default)]
struct State {
    segments: std::vec::IntoIter<Segment>,
    segment: Segment,
    /// Bytes of content handed out, holes included.
    logical: u64,
    /// Bytes of content, holes included.
    size: u64,
    /// Stored bytes and padding not read yet.
    stored: u64,
    padding: u64,
}

/// What came in extension headers before an entry.
#[derive(Debug, Default)]
struct Extensions {
    records: Records,
    /// Maps of sparse format 0.0, whose records repeat.
    map: Vec<u64>,
    path: Option<Vec<u8>>,
    target: Option<Vec<u8>>,
}

impl<R: Read> Entries<R> {
    /// Reads an uncompressed archive.
    pub fn new(source: R) -> Self {
        Self {
            source,
            offset: 0,
            global: Records::new(),
            current: State::default(),
            count: 0,
            ended: false,
            portable: true,
            position: Position::default(),
            scratch: Vec::new(),
        }
    }

    /// The next entry, or none at the end. What is left of the last one's content is skipped.
    #[allow(clippy::should_implement_trait)] // An iterator's items could not lend the content.
    pub fn next(&mut self) -> Result<Option<Entry>, TarError> {
        self.skip_content()?;
        let begin = self.offset;
        let mut extensions = Extensions::default();
        loop {
            let offset = self.offset;
            let Some(block) = self.header_block()? else {
                if offset != begin {
                    return Err(TarError::Truncated { offset });
                }
                return Ok(None);
            };
            let header = Header { block: &block, offset };
            if self.extension(&header, &mut extensions)? {
                continue;
            }
            self.count += 1;
            if self.count > ENTRY_LIMIT {
                return Err(TarError::Limit { what: "entries", limit: ENTRY_LIMIT });
            }
            return self.entry(&header, extensions, begin).map(Some);
        }
    }

    /// Content of the entry that [`Entries::next`] returned last; holes of sparse files read as zeros.
    pub fn content(&mut self) -> Content<'_, R> {
        Content { entries: self }
    }

    /// Where the entry that [`Entries::next`] returned last lies in the archive.
    pub fn position(&self) -> &Position {
        &self.position
    }

    /// Whether what was read so far is of kinds that every reader of archives knows: no sparse or contiguous files, and no
    /// global records.
    pub fn is_portable(&self) -> bool {
        self.portable
    }

    /// Whether the archive ended with end-of-archive blocks and not just where its stream does.
    pub fn ended_with_blocks(&self) -> bool {
        self.ended
    }

    /// What the archive is read from. Reading there directly would lose the place.
    pub fn get_mut(&mut self) -> &mut R {
        &mut self.source
    }

    /// What the archive was read from. All of it has been read once [`Entries::next`] returned none.
    pub fn into_inner(self) -> R {
        self.source
    }

    /// Takes in an extension header and says whether `header` is one.
    fn extension(&mut self, header: &Header<'_>, extensions: &mut Extensions) -> Result<bool, TarError> {
        match header.kind() {
            b'x' => {
                let bytes = self.extension_bytes(header)?;
                let records = pax_records(&bytes, header.offset)?;
                for (key, value) in records {
                    if key == "GNU.sparse.offset" || key == "GNU.sparse.numbytes" {
                        extensions.map.push(header.decimal(&value, "sparse map")?);
                    } else {
                        extensions.records.insert(key, value);
                    }
                }
            }
            b'g' => {
                self.portable = false;
                let bytes = self.extension_bytes(header)?;
                self.global.extend(pax_records(&bytes, header.offset)?);
                if self.global.len() > 1000 {
                    return Err(TarError::Limit { what: "global PAX records", limit: 1000 });
                }
            }
            b'L' => extensions.path = Some(until_nul(self.extension_bytes(header)?)),
            b'K' => extensions.target = Some(until_nul(self.extension_bytes(header)?)),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn extension_bytes(&mut self, header: &Header<'_>) -> Result<Vec<u8>, TarError> {
        let size = header.number(124..136, "size")?;
        if size > EXTENSION_LIMIT {
            return Err(TarError::Limit { what: "bytes of one extension header", limit: EXTENSION_LIMIT });
        }
        // Read block by block: the size is only a claim.
        let mut bytes = Vec::new();
        while (bytes.len() as u64) < size {
            let block = self.block()?.ok_or(TarError::Truncated { offset: self.offset })?;
            bytes.extend_from_slice(&block);
        }
        bytes.truncate(usize::try_from(size).unwrap_or(usize::MAX));
        Ok(bytes)
    }

    fn entry(&mut self, header: &Header<'_>, extensions: Extensions, begin: u64) -> Result<Entry, TarError> {
        let mut records = self.global.clone();
        records.extend(extensions.records);
        // An empty value takes back a global record.
        records.retain(|key, value| !value.is_empty() || key.starts_with(XATTR_PREFIX));

        let sparse_name = records.get("GNU.sparse.name").cloned();
        let raw = sparse_name.or_else(|| records.remove("path")).or(extensions.path).unwrap_or_else(|| header.path());
        let path = entry_path(&raw)?;
        let target = records.remove("linkpath").or(extensions.target).unwrap_or_else(|| header.text(157..257));
        let kind = header.entry_kind(&path, &raw, target)?;
        let stored = match records.get("size") {
            Some(value) => header.decimal(value, "size")?,
            None => header.number(124..136, "size")?,
        };
        if stored > 0 && kind != EntryKind::File {
            return Err(TarError::UnexpectedContent { path: lossy(&path), kind: kind.word(), size: stored });
        }
        self.current = State { stored, padding: padded(stored) - stored, size: stored, ..State::default() };
        self.position.header = begin..self.offset;
        let map = self.sparse_map(header, &records, &extensions.map, &path)?;
        let end = self.offset.checked_add(self.current.stored).ok_or_else(|| header.bad("size"))?;
        self.position.content = self.offset..end;
        self.portable &= map.is_none() && header.kind() != b'7';
        if let Some(map) = map {
            self.current.size = map.size;
            self.current.segments = map.segments.into_iter();
        } else {
            self.current.segment = Segment { offset: 0, size: stored };
        }

        Ok(Entry {
            kind,
            mode: header.mode()?,
            uid: header.id(&records, "uid", 108..116)?,
            gid: header.id(&records, "gid", 116..124)?,
            user: header.name(&records, "uname", 265..297)?,
            group: header.name(&records, "gname", 297..329)?,
            size: self.current.size,
            mtime: header.mtime(&records)?,
            checksum: header.checksum_record(&records)?,
            xattrs: xattrs(records),
            path,
        })
    }

    /// Reads the map of a sparse file, which for some formats begins its content.
    fn sparse_map(
        &mut self,
        header: &Header<'_>,
        records: &Records,
        repeated: &[u64],
        path: &[u8],
    ) -> Result<Option<sparse::Map>, TarError> {
        let bad = |reason| TarError::Sparse { path: lossy(path), reason };
        let number = |key: &str| records.get(key).map(|value| header.decimal(value, "sparse map")).transpose();
        let (size, numbers) = if header.kind() == b'S' {
            self.old_sparse_map(header)?
        } else if records.contains_key("GNU.sparse.major") {
            if (number("GNU.sparse.major")?, number("GNU.sparse.minor")?) != (Some(1), Some(0)) {
                return Err(bad("its format is newer than 1.0"));
            }
            let size = number("GNU.sparse.realsize")?.ok_or_else(|| bad("it lacks the size"))?;
            (size, self.leading_sparse_map(path)?)
        } else if let Some(size) = number("GNU.sparse.size")? {
            let numbers = match records.get("GNU.sparse.map") {
                Some(list) => list
                    .split(|&b| b == b',')
                    .map(|value| header.decimal(value, "sparse map"))
                    .collect::<Result<_, _>>()?,
                None => repeated.to_vec(),
            };
            (size, numbers)
        } else {
            return Ok(None);
        };
        sparse::Map::new(size, &numbers, self.current.stored).map(Some).map_err(bad)
    }

    /// Format of old GNU tar: four segments in the header, 21 in each block that follows.
    fn old_sparse_map(&mut self, header: &Header<'_>) -> Result<(u64, Vec<u64>), TarError> {
        let size = header.number(483..495, "size")?;
        let mut numbers = Vec::new();
        header.old_sparse_numbers(386, 4, &mut numbers)?;
        let mut more = header.byte(482) != 0;
        while more {
            if numbers.len() > sparse::SEGMENT_LIMIT * 2 {
                return Err(TarError::Limit { what: "sparse segments", limit: sparse::SEGMENT_LIMIT as u64 });
            }
            let block = self.block()?.ok_or(TarError::Truncated { offset: self.offset })?;
            let extended = Header { block: &block, offset: header.offset };
            extended.old_sparse_numbers(0, 21, &mut numbers)?;
            more = extended.byte(504) != 0;
        }
        Ok((size, numbers))
    }

    /// Format 1.0: decimal lines before the content, padded to a block: how many segments, then offset and size of each.
    fn leading_sparse_map(&mut self, path: &[u8]) -> Result<Vec<u64>, TarError> {
        let bad = |reason| TarError::Sparse { path: lossy(path), reason };
        let mut text = Vec::new();
        let mut wanted = None;
        let mut numbers = Vec::new();
        while wanted.is_none_or(|wanted| numbers.len() < wanted) {
            if self.current.stored < BLOCK as u64 {
                return Err(bad("it is cut off"));
            }
            let block = self.block()?.ok_or(TarError::Truncated { offset: self.offset })?;
            self.current.stored -= BLOCK as u64;
            text.extend_from_slice(&block);
            while let Some(end) = text.iter().position(|&b| b == b'\n') {
                let line: Vec<u8> = text.drain(..=end).collect();
                let value = line.strip_suffix(b"\n").and_then(parse_decimal).ok_or_else(|| bad("it is no number"))?;
                match wanted {
                    None if value > sparse::SEGMENT_LIMIT as u64 => return Err(bad("it has too many segments")),
                    None => wanted = usize::try_from(value).ok().map(|count| count * 2),
                    Some(wanted) if numbers.len() < wanted => numbers.push(value),
                    Some(_) => return Err(bad("it is longer than it says")),
                }
                if wanted == Some(numbers.len()) {
                    break;
                }
            }
            if text.len() > 64 && wanted.is_none_or(|wanted| numbers.len() < wanted) {
                return Err(bad("it is no number"));
            }
        }
        Ok(numbers)
    }

    /// The next header, or none at the end of the archive, behind which only zeros may follow.
    fn header_block(&mut self) -> Result<Option<Block>, TarError> {
        if self.ended {
            return Ok(None);
        }
        let Some(block) = self.block()? else { return Ok(None) };
        if block.iter().any(|&b| b != 0) {
            Header { block: &block, offset: self.offset - BLOCK as u64 }.verify()?;
            return Ok(Some(block));
        }
        self.ended = true;
        let mut buffer = vec![0; 1 << 16];
        loop {
            let n = self.read_source(&mut buffer)?;
            if n == 0 {
                return Ok(None);
            }
            let read = buffer.get(..n).unwrap_or_default();
            if let Some(position) = read.iter().position(|&b| b != 0) {
                return Err(TarError::AfterEnd { offset: self.offset - (n - position) as u64 });
            }
        }
    }

    /// One block, or none where the stream ends right before it.
    fn block(&mut self) -> Result<Option<Block>, TarError> {
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while let Some(rest) = block.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.read_source(rest)? {
                0 if filled == 0 => return Ok(None),
                0 => return Err(TarError::Truncated { offset: self.offset }),
                n => filled += n,
            }
        }
        Ok(Some(block))
    }

    fn read_source(&mut self, buffer: &mut [u8]) -> Result<usize, TarError> {
        read_retrying(&mut self.source, &mut self.offset, buffer).map_err(TarError::Read)
    }

    fn skip_content(&mut self) -> Result<(), TarError> {
        let mut left = self.current.stored.saturating_add(self.current.padding);
        self.current = State::default();
        if left > 0 && self.scratch.is_empty() {
            self.scratch.resize(SCRATCH, 0);
        }
        while left > 0 {
            let length = usize::try_from(left).unwrap_or(usize::MAX).min(self.scratch.len());
            let buffer = self.scratch.get_mut(..length).unwrap_or_default();
            let n = read_retrying(&mut self.source, &mut self.offset, buffer).map_err(TarError::Read)?;
            if n == 0 {
                return Err(TarError::Truncated { offset: self.offset });
            }
            left -= n as u64;
        }
        Ok(())
    }
}

fn read_retrying(source: &mut impl Read, offset: &mut u64, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match source.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
            Ok(n) => {
                *offset += n as u64;
                return Ok(n);
            }
        }
    }
}

/// Content of one entry.
#[derive(Debug)]
pub struct Content<'a, R> {
    entries: &'a mut Entries<R>,
}

impl<R: Read> Read for Content<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Entries { source, offset, current, .. } = &mut *self.entries;
        if buffer.is_empty() || current.logical >= current.size {
            return Ok(0);
        }
        while current.logical >= current.segment.end() {
            match current.segments.next() {
                Some(segment) => current.segment = segment,
                // Behind the last segment there is one hole up to the size.
                None => current.segment = Segment { offset: current.size, size: u64::MAX - current.size },
            }
        }
        let hole = current.logical < current.segment.offset;
        let end = if hole { current.segment.offset } else { current.segment.end().min(current.size) };
        let length = usize::try_from(end - current.logical).unwrap_or(usize::MAX).min(buffer.len());
        let buffer = buffer.get_mut(..length).unwrap_or_default();
        let n = if hole {
            buffer.fill(0);
            length
        } else {
            let n = read_retrying(source, offset, buffer)?;
            current.stored = current.stored.saturating_sub(n as u64);
            n
        };
        if n == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, TarError::Truncated { offset: *offset }));
        }
        current.logical += n as u64;
        Ok(n)
    }
}

/// One header block.
struct Header<'a> {
    block: &'a Block,
    offset: u64,
}

impl Header<'_> {
    fn bad(&self, field: &'static str) -> TarError {
        TarError::Field { field, offset: self.offset }
    }

    fn bytes(&self, range: Range<usize>) -> &[u8] {
        self.block.get(range).unwrap_or_default()
    }

    fn byte(&self, position: usize) -> u8 {
        self.block.get(position).copied().unwrap_or_default()
    }

    fn kind(&self) -> u8 {
        self.byte(156)
    }

    fn text(&self, range: Range<usize>) -> Vec<u8> {
        until_nul(self.bytes(range).to_vec())
    }

    /// The sum of all bytes, those of the checksum itself taken as spaces.
    fn verify(&self) -> Result<(), TarError> {
        let sum: u64 = self.block.iter().map(|&b| u64::from(b)).sum();
        let own: u64 = self.bytes(148..156).iter().map(|&b| u64::from(b)).sum();
        if self.number(148..156, "checksum").ok() == Some(sum - own + 8 * u64::from(b' ')) {
            Ok(())
        } else {
            Err(TarError::HeaderChecksum { offset: self.offset })
        }
    }

    /// Octal digits between spaces and NULs, or GNU's base 256.
    fn number(&self, range: Range<usize>, field: &'static str) -> Result<u64, TarError> {
        parse_number(self.bytes(range)).ok_or_else(|| self.bad(field))
    }

    fn decimal(&self, value: &[u8], field: &'static str) -> Result<u64, TarError> {
        parse_decimal(value).ok_or_else(|| self.bad(field))
    }

    /// The name, behind its prefix where the header is of POSIX's make.
    fn path(&self) -> Vec<u8> {
        let name = self.text(0..100);
        let prefix = if self.bytes(257..263) == b"ustar\0" { self.text(345..500) } else { Vec::new() };
        if prefix.is_empty() { name } else { [prefix, name].join(&b'/') }
    }

    fn entry_kind(&self, path: &[u8], raw: &[u8], target: Vec<u8>) -> Result<EntryKind, TarError> {
        let kind = match self.kind() {
            // Before POSIX a directory was a file whose name ends with a slash.
            0 if raw.ends_with(b"/") => EntryKind::Directory,
            b'0' | b'7' | b'S' | 0 => EntryKind::File,
            b'1' => EntryKind::Hardlink(target),
            b'2' => EntryKind::Symlink(target),
            b'3' => EntryKind::CharDevice(self.device()?),
            b'4' => EntryKind::BlockDevice(self.device()?),
            b'5' => EntryKind::Directory,
            b'6' => EntryKind::Fifo,
            other => return Err(TarError::Kind { path: lossy(path), kind: char::from(other) }),
        };
        if raw.ends_with(b"/") && kind != EntryKind::Directory {
            return Err(TarError::Path { path: lossy(raw), fault: PathFault::TrailingSlash });
        }
        let fault = match &kind {
            EntryKind::Hardlink(target) => check_path(target),
            EntryKind::Symlink(target) => check_text(target),
            _ => Ok(()),
        };
        fault.map_err(|fault| TarError::Target { path: lossy(path), fault })?;
        Ok(kind)
    }

    fn device(&self) -> Result<Device, TarError> {
        let number = |range| {
            let value = self.number(range, "device number")?;
            u32::try_from(value).map_err(|_| self.bad("device number"))
        };
        Ok(Device { major: number(329..337)?, minor: number(337..345)? })
    }

    /// Without the bits that say what the entry is, which some writers put there too.
    fn mode(&self) -> Result<u32, TarError> {
        let mode = self.number(100..108, "mode")?;
        u32::try_from(mode & 0o7777).map_err(|_| self.bad("mode"))
    }

    fn id(&self, records: &Records, key: &'static str, range: Range<usize>) -> Result<u32, TarError> {
        let value = match records.get(key) {
            Some(value) => self.decimal(value, key)?,
            None => self.number(range, key)?,
        };
        u32::try_from(value).map_err(|_| self.bad(key))
    }

    fn name(&self, records: &Records, key: &'static str, range: Range<usize>) -> Result<String, TarError> {
        let is_ustar = self.bytes(257..262) == b"ustar";
        let value = match records.get(key) {
            Some(value) => value.clone(),
            None if is_ustar => self.text(range),
            None => Vec::new(),
        };
        let bad = value.len() > 255 || value.iter().any(|&b| b < b' ' || b == b':');
        String::from_utf8(value).ok().filter(|_| !bad).ok_or_else(|| self.bad(key))
    }

    fn mtime(&self, records: &Records) -> Result<u64, TarError> {
        match records.get("mtime") {
            Some(value) => {
                let seconds = value.split(|&b| b == b'.').next().unwrap_or_default();
                self.decimal(seconds, "mtime")
            }
            None => self.number(136..148, "mtime"),
        }
    }

    fn checksum_record(&self, records: &Records) -> Result<Option<Checksum>, TarError> {
        let Some(value) = records.get(CHECKSUM_KEY) else { return Ok(None) };
        let mut bytes = [0; 20];
        hex::decode_to_slice(value, &mut bytes).map_err(|_| self.bad(CHECKSUM_KEY))?;
        Ok(Some(Checksum::from(bytes)))
    }

    fn old_sparse_numbers(&self, begin: usize, count: usize, numbers: &mut Vec<u64>) -> Result<(), TarError> {
        for at in (begin..).step_by(24).take(count) {
            if self.byte(at) == 0 {
                break;
            }
            numbers.push(self.number(at..at + 12, "sparse map")?);
            numbers.push(self.number(at + 12..at + 24, "sparse map")?);
        }
        Ok(())
    }
}

fn entry_path(raw: &[u8]) -> Result<Vec<u8>, TarError> {
    let path = raw.strip_suffix(b"/").unwrap_or(raw);
    check_path(path).map_err(|fault| TarError::Path { path: lossy(raw), fault })?;
    Ok(path.to_vec())
}

fn xattrs(records: Records) -> BTreeMap<String, Vec<u8>> {
    records
        .into_iter()
        .filter_map(|(key, value)| key.strip_prefix(XATTR_PREFIX).map(|name| (name.to_owned(), value)))
        .collect()
}

/// Records are `LENGTH KEY=VALUE` and a newline; the length counts all of that.
fn pax_records(mut bytes: &[u8], offset: u64) -> Result<Vec<(String, Vec<u8>)>, TarError> {
    let bad = |reason| TarError::Pax { offset, reason };
    let mut records = Vec::new();
    while !bytes.is_empty() {
        let digits = bytes.iter().position(|&b| b == b' ').ok_or_else(|| bad("a record has no length"))?;
        let length = bytes.get(..digits).and_then(parse_decimal).and_then(|n| usize::try_from(n).ok());
        let length = length.ok_or_else(|| bad("a record's length is no number"))?;
        let record = bytes.get(digits + 1..length).ok_or_else(|| bad("a record's length is wrong"))?;
        let record = record.strip_suffix(b"\n").ok_or_else(|| bad("a record does not end with a newline"))?;
        let equals = record.iter().position(|&b| b == b'=').ok_or_else(|| bad("a record has no “=”"))?;
        let key = record.get(..equals).and_then(|key| std::str::from_utf8(key).ok());
        let key = key.filter(|key| !key.is_empty()).ok_or_else(|| bad("a record's key is not UTF-8"))?;
        records.push((key.to_owned(), record.get(equals + 1..).unwrap_or_default().to_vec()));
        bytes = bytes.get(length..).unwrap_or_default();
    }
    Ok(records)
}

fn parse_decimal(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}

fn parse_number(field: &[u8]) -> Option<u64> {
    if let Some((&first, rest)) = field.split_first().filter(|(first, _)| **first & 0x80 != 0) {
        // 0xff begins a negative number.
        let mut value = u64::from(first & 0x7f);
        for &byte in rest {
            value = value.checked_mul(256)?.checked_add(u64::from(byte))?;
        }
        return Some(value);
    }
    let begin = field.iter().position(|&b| b != b' ').unwrap_or(field.len());
    let digits = field.get(begin..)?;
    let end = digits.iter().position(|&b| b == b' ' || b == 0).unwrap_or(digits.len());
    let (digits, rest) = digits.split_at_checked(end)?;
    if rest.iter().any(|&b| b != b' ' && b != 0) {
        return None;
    }
    digits.iter().try_fold(0_u64, |value, &digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 8)?;
        value.checked_mul(8)?.checked_add(u64::from(digit))
    })
}

fn until_nul(mut bytes: Vec<u8>) -> Vec<u8> {
    let end = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
    bytes.truncate(end);
    bytes
}

fn lossy(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}
