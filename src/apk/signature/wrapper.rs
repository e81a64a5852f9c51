//! The gzip member around signatures: what damage to it can't be told from its content.
//!
//! gzip's own checksum covers the content. Not covered are header fields that decompressors ignore, padding bits, and
//! bits of the compressed data that happen to mean the same: a repetition may be copied from here or from there.

use std::io::Write;

use flate2::Compression;
use flate2::write::DeflateEncoder;

/// Length of a gzip header without optional fields, and of the trailer.
const HEADER: usize = 10;
const TRAILER: usize = 8;

/// Which bits differ from what any tool writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WrapperFault {
    /// It is shorter than a gzip member can be.
    #[error("it is too short")]
    Short,
    /// The gzip header has flags or values that no tool writes.
    #[error("its header's {0} is one that no tool writes")]
    Header(&'static str),
    /// The compressed data is almost what the usual encoder writes.
    #[error("its compressed data has {0} changed bits")]
    Data(u32),
}

/// Checks a gzip member that expands to `content`.
pub(super) fn check(content: &[u8], compressed: &[u8]) -> Result<(), WrapperFault> {
    let (header, rest) = compressed.split_first_chunk::<HEADER>().ok_or(WrapperFault::Short)?;
    let data = rest.len().checked_sub(TRAILER).and_then(|end| rest.get(..end)).ok_or(WrapperFault::Short)?;
    let [_, _, _, flags, t0, t1, t2, t3, speed, system] = *header;
    // No text flag, no flags that are not assigned; a header checksum, extra fields and names are another length.
    if flags != 0 {
        return Err(WrapperFault::Header("flags"));
    }
    // One bit is the time of no real file: tools write none at all.
    if u32::from_le_bytes([t0, t1, t2, t3]).is_power_of_two() {
        return Err(WrapperFault::Header("time"));
    }
    // Unix, unknown, or FAT.
    if !matches!(system, 3 | 255 | 0) {
        return Err(WrapperFault::Header("operating system"));
    }
    let level = check_data(content, data)?;
    let expected = match level {
        Some(9) => &[2][..],
        Some(1) => &[4][..],
        Some(_) => &[0][..],
        None => &[0, 2, 4][..],
    };
    if expected.contains(&speed) { Ok(()) } else { Err(WrapperFault::Header("compression level")) }
}

/// The level at which zlib, and gzip, make this data of the content; none if another encoder made it.
fn check_data(content: &[u8], data: &[u8]) -> Result<Option<u32>, WrapperFault> {
    let mut nearest = u32::MAX;
    for level in [9, 6, 1] {
        let changed = changed_bits(&deflate(content, level), data);
        if changed == Some(0) {
            return Ok(Some(level));
        }
        nearest = nearest.min(changed.unwrap_or(u32::MAX));
    }
    // Levels differ from each other by three bits and more.
    if nearest <= 2 { Err(WrapperFault::Data(nearest)) } else { Ok(None) }
}

fn deflate(content: &[u8], level: u32) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::new(level));
    // Writing to memory does not fail; if it did, nothing would be like the result.
    let _ = encoder.write_all(content);
    encoder.finish().unwrap_or_default()
}

fn changed_bits(a: &[u8], b: &[u8]) -> Option<u32> {
    (a.len() == b.len()).then(|| a.iter().zip(b).map(|(a, b)| (a ^ b).count_ones()).sum())
}
