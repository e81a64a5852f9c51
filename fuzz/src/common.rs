//! What targets have in common.

use std::error::Error;

/// Whether an input was accepted, or why it was refused.
pub type Outcome = Result<(), Box<dyn Error>>;

/// A part of mailimg that reads what others wrote.
pub struct Target {
    /// Reads an input. Panics if what comes of it is not what mailimg promises.
    pub check: fn(&[u8]) -> Outcome,
    /// Made-up inputs to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// What is said of an error: its message and those of its sources, none of which may be empty.
pub fn told(error: &dyn Error) -> String {
    let mut messages = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        messages.push(error.to_string());
        cause = error.source();
    }
    assert!(messages.iter().all(|message| !message.trim().is_empty()), "an error without a message: {messages:?}");
    messages.join(": ")
}

/// Two parts of an input. The first two bytes are the length of the first part.
pub fn halves(input: &[u8]) -> (&[u8], &[u8]) {
    let Some((length, rest)) = input.split_first_chunk() else { return (&[], &[]) };
    rest.split_at(rest.len().min(usize::from(u16::from_le_bytes(*length))))
}

/// The input with these parts; see [`halves`].
pub fn joined(first: &[u8], second: &[u8]) -> Vec<u8> {
    let length = u16::try_from(first.len()).expect("a small seed");
    [&length.to_le_bytes()[..], first, second].concat()
}

/// A tar archive in which the headers have the right checksums. A fuzzer can't guess them.
pub fn mended(archive: &[u8]) -> Vec<u8> {
    const BLOCK: usize = 512;
    let mut archive = archive.to_vec();
    let mut offset = 0_usize;
    while let Some(header) = archive.get_mut(offset..).and_then(|rest| rest.first_chunk_mut::<BLOCK>()) {
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        let digits = header[124..136].iter().filter(|byte| matches!(byte, b'0'..=b'7'));
        let size = digits.fold(0_usize, |size, digit| size << 3 | usize::from(digit - b'0'));
        let blocks = if matches!(header[156], b'1'..=b'6') { 0 } else { size.div_ceil(BLOCK) };
        offset = offset.saturating_add(BLOCK).saturating_add(blocks.saturating_mul(BLOCK));
    }
    archive
}
