//! Reading archives.

use std::io::Read;
use std::ops::Range;

use super::content::{Content, State, read_retrying};
use super::header::{Block, Header, until_nul};
use super::pax::{Records, checksum, pax_records, xattrs};
use super::portable;
use super::sparse::Segment;
use super::{BLOCK, Entry, EntryKind, TarError, XATTR_PREFIX, check_path, lossy, padded};

/// The most bytes of PAX records, or of a GNU long name, for one entry, and of all global PAX records.
const EXTENSION_LIMIT: u64 = 64 << 10;
/// The most bytes in holes of sparse files, which take no space in an archive but time to read.
const HOLES_LIMIT: u64 = 1 << 30;
/// The most entries in an archive.
const ENTRY_LIMIT: u64 = 2_000_000;

/// How many bytes are skipped at a time.
const SCRATCH: usize = 1 << 18;

/// Reads the entries of an archive one by one, with their content.
#[derive(Debug)]
pub struct Entries<R> {
    pub(super) source: R,
    /// Bytes read so far.
    pub(super) offset: u64,
    /// Records of global PAX headers.
    global: Records,
    pub(super) current: State,
    /// Bytes of them.
    global_size: u64,
    count: u64,
    /// Bytes in holes so far.
    holes: u64,
    ended: bool,
    portable: bool,
    position: Position,
    /// For content that is skipped.
    scratch: Vec<u8>,
}

/// The position of an entry in the uncompressed archive.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Position {
    /// Its headers, including PAX and long names.
    pub header: Range<u64>,
    /// Its content as stored, without padding.
    pub content: Range<u64>,
}

/// The content of an entry's extension headers.
#[derive(Debug, Default)]
struct Extensions {
    records: Records,
    has_records: bool,
    /// The map of sparse format 0.0, which repeats its records.
    map: Vec<u64>,
    path: Option<Vec<u8>>,
    target: Option<Vec<u8>>,
    /// Bytes of all of them.
    size: u64,
}

impl<R: Read> Entries<R> {
    /// Reads an uncompressed archive.
    pub fn new(source: R) -> Self {
        Self {
            source,
            offset: 0,
            global: Records::new(),
            current: State::default(),
            global_size: 0,
            count: 0,
            holes: 0,
            ended: false,
            portable: true,
            position: Position::default(),
            scratch: Vec::new(),
        }
    }

    /// The next entry, or none at the end. Skips the rest of the previous entry's content.
    #[allow(clippy::should_implement_trait)] // an iterator's items could not lend the content.
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
            self.portable &= portable::has_plain_fields(&header);
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

    /// The content of the last entry returned by [`Entries::next`]; holes of sparse files read as zeros.
    pub fn content(&mut self) -> Content<'_, R> {
        Content { entries: self }
    }

    /// The position of the last entry returned by [`Entries::next`].
    pub fn position(&self) -> &Position {
        &self.position
    }

    /// Whether every archive reader understands what was read so far in the same way. Besides what `portable` lists,
    /// readers differ about global records, volume labels, extension headers of several kinds, or several of one kind,
    /// before an entry, and directories with a size.
    pub fn is_portable(&self) -> bool {
        self.portable
    }

    /// Whether the archive ended with end-of-archive blocks rather than just with its stream.
    pub fn ended_with_blocks(&self) -> bool {
        self.ended
    }

    /// The underlying reader. Don't read from it: that would lose the position.
    pub fn get_mut(&mut self) -> &mut R {
        &mut self.source
    }

    /// The underlying reader, which is at its end once [`Entries::next`] has returned none.
    pub fn into_inner(self) -> R {
        self.source
    }

    /// Reads an extension header. Returns whether `header` is one.
    fn extension(&mut self, header: &Header<'_>, extensions: &mut Extensions) -> Result<bool, TarError> {
        match header.kind() {
            b'x' => {
                self.portable &= !extensions.has_records;
                extensions.has_records = true;
                let bytes = self.extension_bytes(header)?;
                extensions.size += bytes.len() as u64;
                let records = pax_records(&bytes, header.offset)?;
                self.portable &= portable::are_plain(&bytes, &records);
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
                self.global_size += bytes.len() as u64;
                if self.global_size > EXTENSION_LIMIT {
                    return Err(TarError::Limit { what: "bytes of global PAX records", limit: EXTENSION_LIMIT });
                }
                self.global.extend(pax_records(&bytes, header.offset)?);
            }
            b'L' => {
                let name = self.long_name(header, extensions)?;
                self.portable &= extensions.path.replace(name).is_none();
            }
            b'K' => {
                let name = self.long_name(header, extensions)?;
                self.portable &= extensions.target.replace(name).is_none();
            }
            // A volume label of GNU tar, access rights of Solaris' tar: apk passes them over, too.
            b'V' | b'A' => {
                self.portable = false;
                extensions.size += self.extension_bytes(header)?.len() as u64;
            }
            _ => return Ok(false),
        }
        let has_name = extensions.path.is_some() || extensions.target.is_some();
        self.portable &= !(has_name && extensions.has_records);
        if extensions.size > EXTENSION_LIMIT {
            return Err(TarError::Limit { what: "bytes of extension headers of one entry", limit: EXTENSION_LIMIT });
        }
        Ok(true)
    }

    fn long_name(&mut self, header: &Header<'_>, extensions: &mut Extensions) -> Result<Vec<u8>, TarError> {
        let bytes = self.extension_bytes(header)?;
        extensions.size += bytes.len() as u64;
        self.portable &= portable::is_plain_name(&bytes);
        Ok(until_nul(bytes))
    }

    fn extension_bytes(&mut self, header: &Header<'_>) -> Result<Vec<u8>, TarError> {
        let size = header.number(124..136, "size")?;
        if size > EXTENSION_LIMIT {
            return Err(TarError::Limit { what: "bytes of one extension header", limit: EXTENSION_LIMIT });
        }
        // Read block by block, because the size can't be trusted.
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
        // An empty value cancels a global record.
        records.retain(|key, value| !value.is_empty() || key.starts_with(XATTR_PREFIX));

        let has_target = records.contains_key("linkpath") || extensions.target.is_some() || header.byte(157) != 0;
        let sparse_name = records.get("GNU.sparse.name").cloned();
        let raw = sparse_name.or_else(|| records.remove("path")).or(extensions.path).unwrap_or_else(|| header.path());
        let path = entry_path(&raw)?;
        let target = records.remove("linkpath").or(extensions.target).unwrap_or_else(|| header.text(157..257));
        let kind = header.entry_kind(&path, &raw, target)?;
        let stored = match records.get("size") {
            Some(value) => header.decimal(value, "size")?,
            None => header.number(124..136, "size")?,
        };
        let stored = match kind {
            EntryKind::File => stored,
            // Some tools give directories a size, and none of them a content.
            EntryKind::Directory => {
                self.portable &= stored == 0;
                0
            }
            _ if stored > 0 => {
                return Err(TarError::UnexpectedContent { path: lossy(&path), kind: kind.word(), size: stored });
            }
            _ => 0,
        };
        self.current = State { stored, padding: padded(stored) - stored, size: stored, ..State::default() };
        self.position.header = begin..self.offset;
        let map = self.sparse_map(header, &records, &extensions.map, &path)?;
        let end = self.offset.checked_add(self.current.stored).ok_or_else(|| header.bad("size"))?;
        self.position.content = self.offset..end;
        self.portable &= map.is_none() && portable::is_plain_header(header, &records, &kind, has_target);
        if let Some(map) = map {
            if kind != EntryKind::File {
                return Err(TarError::Sparse { path: lossy(&path), reason: "only a file can have one" });
            }
            self.holes = self.holes.saturating_add(map.size.saturating_sub(self.current.stored));
            if self.holes > HOLES_LIMIT {
                return Err(TarError::Limit { what: "bytes in holes of sparse files", limit: HOLES_LIMIT });
            }
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
            user: header.name(&records, "uname", 265..297),
            group: header.name(&records, "gname", 297..329),
            size: self.current.size,
            mtime: header.mtime(&records)?,
            checksum: checksum(&records),
            xattrs: xattrs(records),
            path,
        })
    }

    /// The next header, or none at the end of the archive, after which only zeros may follow.
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
                // Go takes half a block for a truncated archive.
                self.portable &= self.offset.is_multiple_of(BLOCK as u64);
                return Ok(None);
            }
            let read = buffer.get(..n).unwrap_or_default();
            if let Some(position) = read.iter().position(|&b| b != 0) {
                return Err(TarError::AfterEnd { offset: self.offset - (n - position) as u64 });
            }
        }
    }

    /// One block, or none if the stream ends before it.
    pub(super) fn block(&mut self) -> Result<Option<Block>, TarError> {
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

fn entry_path(raw: &[u8]) -> Result<Vec<u8>, TarError> {
    let mut path = raw;
    while let Some(shorter) = path.strip_suffix(b"/") {
        path = shorter;
    }
    check_path(path).map_err(|fault| TarError::Path { path: lossy(raw), fault })?;
    Ok(path.to_vec())
}
