//! The content of an entry.

use std::io::{self, Read};

use super::TarError;
use super::read::Entries;
use super::sparse::Segment;

/// The rest of the current entry's content.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) segments: std::vec::IntoIter<Segment>,
    pub(super) segment: Segment,
    /// Bytes returned so far, including holes.
    pub(super) logical: u64,
    /// Bytes of content, including holes.
    pub(super) size: u64,
    /// Stored bytes and padding still to read.
    pub(super) stored: u64,
    pub(super) padding: u64,
}

/// Content of one entry.
#[derive(Debug)]
pub struct Content<'a, R> {
    pub(super) entries: &'a mut Entries<R>,
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
                // After the last segment, a hole extends to the size.
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

pub(super) fn read_retrying(source: &mut impl Read, offset: &mut u64, buffer: &mut [u8]) -> io::Result<usize> {
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
