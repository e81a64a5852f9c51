//! What a package is read from: bytes that are counted and hashed as they are used up.

use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::GzDecoder;
use sha2::Digest as _;

use super::{Member, PackageError};
use crate::digest::Sha256;

/// Most bytes that data may expand to: far beyond any real package.
const DATA_LIMIT: u64 = 64 << 30;

/// A member's compressed bytes, and the error that ends them when they become too many: empty blocks expand to nothing,
/// so that a bound on the content alone would not do.
struct Kept {
    bytes: Vec<u8>,
    name: &'static str,
    limit: u64,
}

const BUFFER: usize = 1 << 16;

/// Hashes exactly what a decompressor consumes, and so knows members apart to the byte.
pub(super) struct Source<R> {
    inner: BufReader<R>,
    whole: sha2::Sha256,
    member: sha2::Sha256,
    begin: u64,
    offset: u64,
    /// The member's bytes, while they are to be kept.
    kept: Option<Kept>,
}

impl<R: Read> Source<R> {
    pub(super) fn new(inner: R) -> Self {
        Self {
            inner: BufReader::with_capacity(BUFFER, inner),
            whole: sha2::Sha256::new(),
            member: sha2::Sha256::new(),
            begin: 0,
            offset: 0,
            kept: None,
        }
    }

    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Reads one gzip member whole. Returns what it expands to, its compressed bytes and where it lies.
    pub(super) fn member(
        &mut self,
        name: &'static str,
        limit: u64,
    ) -> Result<(Vec<u8>, Vec<u8>, Member), PackageError> {
        self.kept = Some(Kept { bytes: Vec::new(), name, limit });
        let mut content = Vec::new();
        let read = GzDecoder::new(&mut *self).take(limit + 1).read_to_end(&mut content);
        let compressed = self.kept.take().map(|kept| kept.bytes).unwrap_or_default();
        if read.map_err(|error| PackageError::from_io(name, error))? as u64 > limit {
            return Err(PackageError::TooLarge { member: name, limit });
        }
        Ok((content, compressed, self.end_member()))
    }

    /// Ends the member that is being hashed.
    fn end_member(&mut self) -> Member {
        let sha256: [u8; 32] = self.member.finalize_reset().into();
        let member = Member { offset: self.begin, size: self.offset - self.begin, sha256: Sha256::from(sha256) };
        self.begin = self.offset;
        member
    }

    /// Ends the last member and the file.
    pub(super) fn finish(mut self) -> (Member, Sha256, u64) {
        let member = self.end_member();
        let whole: [u8; 32] = self.whole.finalize().into();
        (member, Sha256::from(whole), self.offset)
    }
}

impl<R: Read> Read for Source<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.fill_buf()?.read(buffer)?;
        self.consume(n);
        Ok(n)
    }
}

impl<R: Read> BufRead for Source<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        match &self.kept {
            Some(kept) if kept.bytes.len() as u64 > kept.limit => {
                Err(PackageError::TooLarge { member: kept.name, limit: kept.limit }.into_io())
            }
            _ => self.inner.fill_buf(),
        }
    }

    fn consume(&mut self, n: usize) {
        let used = self.inner.buffer().get(..n).unwrap_or_default();
        self.whole.update(used);
        self.member.update(used);
        if let Some(kept) = &mut self.kept {
            kept.bytes.extend_from_slice(used);
        }
        self.offset += used.len() as u64;
        self.inner.consume(n);
    }
}

/// What the data member expands to: one gzip stream, or several.
pub(super) struct Data<R> {
    stream: Stream<R>,
    streams: u32,
    expanded: u64,
}

enum Stream<R> {
    Open(Box<GzDecoder<Box<Source<R>>>>),
    Ended(Box<Source<R>>),
    /// Only while one becomes the next.
    Between,
}

impl<R: Read> Data<R> {
    pub(super) fn new(source: Source<R>) -> Self {
        Self { stream: Stream::Ended(Box::new(source)), streams: 0, expanded: 0 }
    }

    /// The source and how many streams there were. None before the end of the data.
    pub(super) fn finish(self) -> Option<(Box<Source<R>>, u32)> {
        match self.stream {
            Stream::Ended(source) => Some((source, self.streams)),
            Stream::Open(_) | Stream::Between => None,
        }
    }

    /// Begins the next stream, if there is one.
    fn next_stream(&mut self, mut source: Box<Source<R>>) -> io::Result<bool> {
        let offset = source.offset();
        let first = source.fill_buf().map(|bytes| bytes.first().copied());
        if !matches!(first, Ok(Some(0x1f))) {
            self.stream = Stream::Ended(source);
            return match first? {
                None => Ok(false),
                Some(_) => Err(PackageError::Trailing { offset }.into_io()),
            };
        }
        self.streams = self.streams.saturating_add(1);
        self.stream = Stream::Open(Box::new(GzDecoder::new(source)));
        Ok(true)
    }
}

impl<R: Read> Read for Data<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Stream::Open(decoder) = &mut self.stream {
                let n = decoder.read(buffer)?;
                self.expanded += n as u64;
                if self.expanded > DATA_LIMIT {
                    return Err(PackageError::TooLarge { member: "data", limit: DATA_LIMIT }.into_io());
                }
                if n > 0 || buffer.is_empty() {
                    return Ok(n);
                }
            }
            let source = match std::mem::replace(&mut self.stream, Stream::Between) {
                Stream::Open(decoder) => decoder.into_inner(),
                Stream::Ended(source) => source,
                Stream::Between => return Ok(0),
            };
            if !self.next_stream(source)? {
                return Ok(0);
            }
        }
    }
}
