//! Headers made by hand, for tests of what other tools write.

use super::{BLOCK, Entry, EntryKind, header};

/// A header with a right checksum, after `change`.
pub(crate) fn block(change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let mut block = header(&Entry::new("name", EntryKind::File, 0o644));
    change(&mut block);
    block[148..156].fill(b' ');
    let sum: u64 = block.iter().map(|&b| u64::from(b)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

/// Writes `text` into a header.
pub(crate) fn set(block: &mut [u8], at: usize, text: &[u8]) {
    block[at..at + text.len()].copy_from_slice(text);
}

/// A file's content with its padding.
pub(crate) fn padded_content(content: &[u8]) -> Vec<u8> {
    let mut content = content.to_vec();
    content.resize(content.len().next_multiple_of(BLOCK), 0);
    content
}

/// An extension header of this type with its content.
pub(crate) fn extension(kind: u8, content: &[u8]) -> Vec<u8> {
    let head = block(|block| {
        block[156] = kind;
        set(block, 124, format!("{:011o}", content.len()).as_bytes());
    });
    [head, padded_content(content)].concat()
}

pub(crate) fn record(key: &str, value: &str) -> String {
    let rest = key.len() + value.len() + 3;
    let length = (rest..rest + 9).find(|length| *length == rest + length.to_string().len()).unwrap();
    format!("{length} {key}={value}\n")
}

/// The header of a file of `size` bytes.
pub(crate) fn file(size: usize) -> Vec<u8> {
    block(|block| set(block, 124, format!("{size:011o}").as_bytes()))
}
