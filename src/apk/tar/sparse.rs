//! Maps of sparse files: which parts of a file are stored. The rest are zeros.

use std::io::Read;

use super::header::Header;
use super::pax::{Records, parse_decimal};
use super::read::Entries;
use super::{BLOCK, TarError, lossy};

/// Most segments of one file.
const SEGMENT_LIMIT: usize = 100_000;

/// A stored part of a file.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Segment {
    pub(super) offset: u64,
    pub(super) size: u64,
}

impl Segment {
    pub(super) fn end(self) -> u64 {
        self.offset.saturating_add(self.size)
    }
}

/// The stored parts of a file, in order, and its size including holes.
#[derive(Debug)]
pub(super) struct Map {
    pub(super) size: u64,
    pub(super) segments: Vec<Segment>,
}

impl Map {
    /// Checks a map of (offset, size) pairs against the size of the file and of its stored parts.
    pub(super) fn new(size: u64, numbers: &[u64], stored: u64) -> Result<Self, &'static str> {
        if numbers.len() > SEGMENT_LIMIT * 2 {
            return Err("it has too many segments");
        }
        let (pairs, rest) = numbers.as_chunks::<2>();
        if !rest.is_empty() {
            return Err("a segment lacks its size");
        }
        let mut end = 0;
        let mut sum = 0_u64;
        let mut segments = Vec::with_capacity(pairs.len());
        for &[offset, length] in pairs {
            if offset < end {
                return Err("segments overlap or are out of order");
            }
            end = offset.checked_add(length).filter(|end| *end <= size).ok_or("a segment lies beyond the end")?;
            sum = sum.saturating_add(length);
            if length > 0 {
                segments.push(Segment { offset, size: length });
            }
        }
        if sum != stored {
            return Err("its segments don't match what is stored");
        }
        Ok(Self { size, segments })
    }
}

impl<R: Read> Entries<R> {
    /// Reads the map of a sparse file, which some formats store before its content.
    pub(super) fn sparse_map(
        &mut self,
        header: &Header<'_>,
        records: &Records,
        repeated: &[u64],
        path: &[u8],
    ) -> Result<Option<Map>, TarError> {
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
        Map::new(size, &numbers, self.current.stored).map(Some).map_err(bad)
    }

    /// The format of old GNU tar: four segments in the header, 21 in each following block.
    fn old_sparse_map(&mut self, header: &Header<'_>) -> Result<(u64, Vec<u64>), TarError> {
        let size = header.number(483..495, "size")?;
        let mut numbers = Vec::new();
        header.old_sparse_numbers(386, 4, &mut numbers)?;
        let mut more = header.byte(482) != 0;
        while more {
            if numbers.len() > SEGMENT_LIMIT * 2 {
                return Err(TarError::Limit { what: "sparse segments", limit: SEGMENT_LIMIT as u64 });
            }
            let block = self.block()?.ok_or(TarError::Truncated { offset: self.offset })?;
            let extended = Header { block: &block, offset: header.offset };
            extended.old_sparse_numbers(0, 21, &mut numbers)?;
            more = extended.byte(504) != 0;
        }
        Ok((size, numbers))
    }

    /// Format 1.0: decimal lines before the content, padded to a block: how many segments, then offset and size of
    /// each.
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
                let value =
                    line.strip_suffix(b"\n").and_then(parse_decimal).ok_or_else(|| bad("it is not a number"))?;
                match wanted {
                    None if value > SEGMENT_LIMIT as u64 => return Err(bad("it has too many segments")),
                    None => wanted = usize::try_from(value).ok().map(|count| count * 2),
                    Some(wanted) if numbers.len() < wanted => numbers.push(value),
                    Some(_) => return Err(bad("it is longer than it says")),
                }
                if wanted == Some(numbers.len()) {
                    break;
                }
            }
            if text.len() > 64 && wanted.is_none_or(|wanted| numbers.len() < wanted) {
                return Err(bad("it is not a number"));
            }
        }
        Ok(numbers)
    }
}
