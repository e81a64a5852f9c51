//! The source of a package: counts and hashes bytes as they are consumed.

use std::io::{self, Read};

use sha2::Digest as _;
use zlib_rs::{Inflate, InflateFlush, Status};

use super::{Member, PackageError};
use crate::digest::{Digesting, Sha256};

/// The largest uncompressed data member, in bytes: far beyond any real package.
pub const DATA_LIMIT: u64 = 64 << 30;

/// The size of a read of compressed data and of a write of uncompressed data, in bytes.
const BUFFER: usize = 1 << 18;

/// zlib's code for gzip's header and trailer, with a window of up to 32 KiB (2^15).
const GZIP: u8 = 16 + 15;

/// Hashes exactly what a decompressor consumes, and so finds the boundaries of members to the byte. `W` receives a copy
/// of the last member.
pub(super) struct Source<R, W> {
    inner: R,
    buffer: Box<[u8]>,
    begin_of_rest: usize,
    end_of_rest: usize,
    /// The hash of the whole file, if requested.
    file: Option<sha2::Sha256>,
    member: sha2::Sha256,
    hashes: bool,
    begin: u64,
    offset: u64,
    /// The member's bytes, if they are to be kept.
    kept: Option<Kept>,
    /// Receives the member's bytes, and hashes them.
    copy: Option<W>,
}

/// A member's compressed bytes, and the error if they become too many. Empty blocks expand to nothing, so limiting the
/// content isn't enough.
struct Kept {
    bytes: Vec<u8>,
    name: &'static str,
    limit: u64,
}

/// The state at the end of a package.
pub(super) struct Ended<W> {
    pub(super) data: Member,
    pub(super) sha256: Option<Sha256>,
    pub(super) size: u64,
    pub(super) copy: Option<W>,
}

impl<R: Read, W: Digesting> Source<R, W> {
    pub(super) fn new(inner: R) -> Self {
        Self {
            inner,
            buffer: vec![0; BUFFER].into_boxed_slice(),
            begin_of_rest: 0,
            end_of_rest: 0,
            file: None,
            member: sha2::Sha256::new(),
            hashes: true,
            begin: 0,
            offset: 0,
            kept: None,
            copy: None,
        }
    }

    /// Also hashes the whole file.
    pub(super) fn hash_file(mut self) -> Self {
        self.file = Some(sha2::Sha256::new());
        self
    }

    /// Hashes nothing, because the bytes were checked before.
    pub(super) fn checked(inner: R) -> Self {
        Self { hashes: false, ..Self::new(inner) }
    }

    /// Copies what is read from now on to `copy`.
    pub(super) fn copy_to(&mut self, copy: W) {
        self.copy = Some(copy);
    }

    fn offset(&self) -> u64 {
        self.offset
    }

    /// The next bytes; none at the end.
    pub(super) fn fill(&mut self) -> io::Result<&[u8]> {
        while self.begin_of_rest == self.end_of_rest {
            match self.inner.read(&mut self.buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(PackageError::Read(error).into_io()),
                Ok(n) => {
                    (self.begin_of_rest, self.end_of_rest) = (0, n);
                    break;
                }
            }
        }
        Ok(self.buffer.get(self.begin_of_rest..self.end_of_rest).unwrap_or_default())
    }

    fn consume(&mut self, n: usize) -> io::Result<()> {
        let end = self.end_of_rest.min(self.begin_of_rest.saturating_add(n));
        let used = self.buffer.get(self.begin_of_rest..end).unwrap_or_default();
        if self.hashes {
            if let Some(file) = &mut self.file {
                file.update(used);
            }
            match &mut self.copy {
                Some(copy) => copy.write_all(used).map_err(|error| PackageError::Copy(error).into_io())?,
                None => self.member.update(used),
            }
        }
        if let Some(kept) = &mut self.kept {
            kept.bytes.extend_from_slice(used);
            if kept.bytes.len() as u64 > kept.limit {
                return Err(PackageError::TooLarge { member: kept.name, limit: kept.limit }.into_io());
            }
        }
        self.offset += used.len() as u64;
        self.begin_of_rest = end;
        Ok(())
    }

    /// Reads one whole gzip member. Returns its content, its compressed bytes and its position.
    pub(super) fn member(
        &mut self,
        name: &'static str,
        limit: u64,
    ) -> Result<(Vec<u8>, Vec<u8>, Member), PackageError> {
        self.kept = Some(Kept { bytes: Vec::new(), name, limit });
        let mut stream = Stream::new();
        let mut content = Vec::new();
        let mut buffer = vec![0; BUFFER / 4];
        while !stream.ended {
            let n = stream.read(self, &mut buffer).map_err(|error| PackageError::from_io(name, error))?;
            content.extend_from_slice(buffer.get(..n).unwrap_or_default());
            if content.len() as u64 > limit {
                return Err(PackageError::TooLarge { member: name, limit });
            }
        }
        let compressed = self.kept.take().map(|kept| kept.bytes).unwrap_or_default();
        Ok((content, compressed, self.end_member()))
    }

    /// Ends the member that is being hashed.
    fn end_member(&mut self) -> Member {
        let own: [u8; 32] = self.member.finalize_reset().into();
        let sha256 = self.copy.as_ref().map_or(Sha256::from(own), Digesting::sha256);
        let member = Member { offset: self.begin, size: self.offset - self.begin, sha256 };
        self.begin = self.offset;
        member
    }

    /// Ends the last member and the file.
    fn finish(mut self) -> Ended<W> {
        let data = self.end_member();
        let sha256 = self.file.map(|file| Sha256::from(<[u8; 32]>::from(file.finalize())));
        Ended { data, sha256, size: self.offset, copy: self.copy }
    }
}

/// One gzip stream.
struct Stream {
    inflate: Inflate,
    ended: bool,
}

impl Stream {
    fn new() -> Self {
        Self { inflate: Inflate::new(true, GZIP), ended: false }
    }

    /// Expands more bytes into a non-empty buffer. Returns nothing only at the end.
    fn read<R: Read, W: Digesting>(&mut self, source: &mut Source<R, W>, buffer: &mut [u8]) -> io::Result<usize> {
        let damaged = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
        while !self.ended {
            let input = source.fill()?;
            let at_end = input.is_empty();
            let (read, made) = (self.inflate.total_in(), self.inflate.total_out());
            let status = self.inflate.decompress(input, buffer, InflateFlush::NoFlush);
            let status = status.map_err(|error| damaged(error.as_str()))?;
            let read = usize::try_from(self.inflate.total_in() - read).unwrap_or(usize::MAX);
            let made = usize::try_from(self.inflate.total_out() - made).unwrap_or(usize::MAX);
            source.consume(read)?;
            self.ended = status == Status::StreamEnd;
            match (made, read) {
                _ if self.ended => return Ok(made),
                (0, 0) if at_end => return Err(io::ErrorKind::UnexpectedEof.into()),
                (0, 0) => return Err(damaged("it leads nowhere")),
                (0, _) => {}
                _ => return Ok(made),
            }
        }
        Ok(0)
    }
}

/// The uncompressed data member: one or more gzip streams.
pub(super) struct Data<R, W> {
    source: Source<R, W>,
    stream: Option<Stream>,
    streams: u32,
    expanded: u64,
    content: Option<sha2::Sha256>,
    ended: bool,
    /// A buffer for small reads.
    buffer: Box<[u8]>,
    begin: usize,
    end: usize,
}

/// The state at the end of the data.
pub(super) struct Expanded<W> {
    pub(super) file: Ended<W>,
    pub(super) streams: u32,
    /// Bytes.
    pub(super) size: u64,
    /// SHA-256 of the uncompressed bytes, if it was asked for.
    pub(super) sha256: Option<Sha256>,
}

impl<R: Read, W: Digesting> Data<R, W> {
    pub(super) fn new(source: Source<R, W>) -> Self {
        Self {
            source,
            stream: None,
            streams: 0,
            expanded: 0,
            content: None,
            ended: false,
            buffer: vec![0; BUFFER].into_boxed_slice(),
            begin: 0,
            end: 0,
        }
    }

    /// Also hashes the uncompressed bytes.
    pub(super) fn hash_content(&mut self) {
        self.content = Some(sha2::Sha256::new());
    }

    pub(super) fn source(&mut self) -> &mut Source<R, W> {
        &mut self.source
    }

    /// None before the end of the data.
    pub(super) fn finish(self) -> Option<Expanded<W>> {
        if !self.ended || self.streams == 0 {
            return None;
        }
        let sha256 = self.content.map(|content| Sha256::from(<[u8; 32]>::from(content.finalize())));
        Some(Expanded { file: self.source.finish(), streams: self.streams, size: self.expanded, sha256 })
    }

    /// Begins the next stream, if there is one.
    fn next_stream(&mut self) -> io::Result<bool> {
        let offset = self.source.offset();
        match self.source.fill()?.first() {
            Some(0x1f) => {
                self.streams = self.streams.saturating_add(1);
                self.stream = Some(Stream::new());
                Ok(true)
            }
            Some(_) => Err(PackageError::Trailing { offset }.into_io()),
            None => {
                self.ended = true;
                Ok(false)
            }
        }
    }

    /// Expands into `buffer`. Returns nothing only at the end.
    fn expand(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(stream) = &mut self.stream {
                let n = stream.read(&mut self.source, buffer)?;
                if stream.ended {
                    self.stream = None;
                }
                self.expanded += n as u64;
                if self.expanded > DATA_LIMIT {
                    return Err(PackageError::TooLarge { member: "data", limit: DATA_LIMIT }.into_io());
                }
                if n > 0 {
                    if let Some(content) = &mut self.content {
                        content.update(buffer.get(..n).unwrap_or_default());
                    }
                    return Ok(n);
                }
            } else if self.ended || !self.next_stream()? {
                return Ok(0);
            }
        }
    }
}

impl<R: Read, W: Digesting> Read for Data<R, W> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.begin == self.end {
            if buffer.is_empty() || buffer.len() >= BUFFER / 4 {
                return if buffer.is_empty() { Ok(0) } else { self.expand(buffer) };
            }
            let mut own = std::mem::take(&mut self.buffer);
            let n = self.expand(&mut own);
            self.buffer = own;
            (self.begin, self.end) = (0, n?);
        }
        let mut rest = self.buffer.get(self.begin..self.end).unwrap_or_default();
        let n = rest.read(buffer)?;
        self.begin += n;
        Ok(n)
    }
}
