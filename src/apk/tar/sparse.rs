//! Maps of sparse files: which parts of a file are stored; the rest are zeros.

/// Most segments of one file.
pub(super) const SEGMENT_LIMIT: usize = 100_000;

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

/// The stored parts of a file, in order, and its size with the holes.
#[derive(Debug)]
pub(super) struct Map {
    pub(super) size: u64,
    pub(super) segments: Vec<Segment>,
}

impl Map {
    /// Checks a map of pairs of offset and size against the size of the file and what is stored of it.
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
            return Err("its segments are not what is stored");
        }
        Ok(Self { size, segments })
    }
}
