//! What every reader understands in the same way.
//!
//! Only a package whose archive is read alike by our reader, Go's archive/tar, Rust's tar and GNU tar can be a verbatim
//! layer: otherwise an engine could unpack other files than those that were checked. So this lists what is known to be
//! read alike, and whatever isn't listed counts as not portable. Writers of packages need no more than that.

use super::header::Header;
use super::pax::Records;
use super::{CHECKSUM_KEY, EntryKind, XATTR_PREFIX};

/// Keys of PAX records, besides extended attributes, that change an entry in the same way everywhere, or nothing.
const KEYS: [&str; 10] = ["path", "linkpath", "size", "uid", "gid", "uname", "gname", "mtime", "atime", "ctime"];

/// Whether a list of PAX records, as it is stored, is read alike: each key once, none that only some readers know, no
/// value that deletes a record or ends early, and lengths in their shortest form.
pub(super) fn are_plain(bytes: &[u8], records: &[(String, Vec<u8>)]) -> bool {
    let mut keys: Vec<&str> = records.iter().map(|(key, _)| key.as_str()).collect();
    keys.sort_unstable();
    let is_unique = keys.is_sorted_by(|a, b| a < b);
    let length: usize = records.iter().map(|(key, value)| shortest(key.len() + value.len() + 3)).sum();
    is_unique && length == bytes.len() && records.iter().all(|(key, value)| is_plain(key, value))
}

fn is_plain(key: &str, value: &[u8]) -> bool {
    if key == CHECKSUM_KEY {
        return true;
    }
    if let Some(name) = key.strip_prefix(XATTR_PREFIX) {
        return !value.is_empty() && !name.is_empty() && !name.contains(char::is_control);
    }
    KEYS.contains(&key) && !value.is_empty() && !value.iter().any(u8::is_ascii_control)
}

/// The length of a record with so many bytes besides the digits of its length.
fn shortest(rest: usize) -> usize {
    (rest..rest + 20).find(|length| *length == rest + length.to_string().len()).unwrap_or(rest)
}

/// Whether a GNU long name, as it is stored, is read alike: one text up to a NUL at its end.
pub(super) fn is_plain_name(bytes: &[u8]) -> bool {
    let text = bytes.strip_suffix(b"\0").unwrap_or(bytes);
    !text.is_empty() && !text.contains(&0)
}

/// Whether a header with its PAX records is read alike. `has_target` says whether it or an extension names a target.
pub(super) fn is_plain_header(header: &Header<'_>, records: &Records, kind: &EntryKind, has_target: bool) -> bool {
    // A target of something that isn't a link confuses some readers. So does a directory that a slash makes one.
    let is_link = kind.target().is_some();
    let is_marked = *kind != EntryKind::Directory || header.kind() == b'5';
    has_known_form(header)
        && header.is_clean()
        && !contradicts(header, records)
        && (is_link || !has_target)
        && is_marked
}

/// POSIX or GNU tar's, without what tar programs since have put into the rest of the block: star's times, GNU tar's
/// parts of files and volumes.
fn has_known_form(header: &Header<'_>) -> bool {
    let rest = match header.bytes(257..265) {
        b"ustar\x0000" => 500..512,
        b"ustar  \0" => 345..512,
        _ => return false,
    };
    header.bytes(rest).iter().all(|byte| *byte == 0) && matches!(header.kind(), 0 | b'0'..=b'6')
}

/// Some readers take a number from the header and others from the record.
fn contradicts(header: &Header<'_>, records: &Records) -> bool {
    let differs = |key: &str, range: std::ops::Range<usize>| {
        let field = header.number(range, "number").unwrap_or(u64::MAX);
        records.get(key).is_some_and(|value| header.decimal(value, "number").ok() != Some(field))
    };
    let before_1970 = records.get("mtime").is_some_and(|value| value.starts_with(b"-"));
    differs("size", 124..136) || differs("uid", 108..116) || differs("gid", 116..124) || before_1970
}
