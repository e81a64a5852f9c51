//! What every reader understands in the same way.
//!
//! Only a package whose archive is read alike by our reader, Go's archive/tar, Rust's tar and GNU tar can be a verbatim
//! layer: otherwise an engine could unpack other files than those that were checked. So this lists what is known to be
//! read alike, and whatever isn't listed counts as not portable. Writers of packages need no more than that.

use super::header::{Header, parse_time};
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
    // Rust's tar ends a record at a newline, wherever its length says that it ends.
    if value.is_empty() || value.contains(&b'\n') {
        return false;
    }
    if let Some(name) = key.strip_prefix(XATTR_PREFIX) {
        return !name.is_empty() && !name.contains(char::is_control);
    }
    match key {
        CHECKSUM_KEY => true,
        "mtime" | "atime" | "ctime" => is_plain_time(value),
        _ => KEYS.contains(&key) && !value.iter().any(u8::is_ascii_control),
    }
}

/// Digits, and perhaps a fraction.
fn is_plain_time(value: &[u8]) -> bool {
    let mut parts = value.splitn(2, |byte| *byte == b'.');
    parts.all(|part| !part.is_empty() && part.iter().all(u8::is_ascii_digit)) && parse_time(value).is_some()
}

/// The length of a record with so many bytes besides the digits of its length.
fn shortest(rest: usize) -> usize {
    (rest..rest + 20).find(|length| *length == rest + length.to_string().len()).unwrap_or(rest)
}

/// Whether a GNU long name, as it is stored, is read alike: one text and a NUL at its end. Without that, GNU tar reads on
/// into the padding.
pub(super) fn is_plain_name(bytes: &[u8]) -> bool {
    bytes.strip_suffix(b"\0").is_some_and(|text| !text.is_empty() && !text.contains(&0))
}

/// Whether a header with its PAX records is read alike. `has_target` says whether it or an extension names a target.
pub(super) fn is_plain_header(header: &Header<'_>, records: &Records, kind: &EntryKind, has_target: bool) -> bool {
    // A target of something that isn't a link confuses some readers. So does a directory that a slash makes one.
    let is_link = kind.target().is_some();
    let is_marked = *kind != EntryKind::Directory || header.kind() == b'5';
    matches!(header.kind(), 0 | b'0'..=b'6') && !contradicts(header, records) && (is_link || !has_target) && is_marked
}

/// Whether the fields of a header, which may be an extension header, are read alike: all numbers, even those that don't
/// count for this entry, because some readers refuse what they can't read.
pub(super) fn has_plain_fields(header: &Header<'_>) -> bool {
    let field = |range| header.bytes(range);
    // Some readers know wide numbers only here, and negative ones differ.
    let is_number = |field: &[u8]| is_octal(field) || field.first() == Some(&0x80);
    let is_device = matches!(header.kind(), b'3' | b'4');
    let is_device_number = |field: &[u8]| is_octal(field) || !is_device && field.iter().all(|byte| *byte == 0);
    has_known_form(header)
        && header.has_plain_checksum()
        && is_octal(field(100..108))
        && [108..116, 116..124, 124..136, 136..148].into_iter().map(field).all(is_number)
        && [329..337, 337..345].into_iter().map(field).all(is_device_number)
}

/// Octal digits, which spaces may precede, and spaces and NULs follow.
fn is_octal(field: &[u8]) -> bool {
    let begin = field.iter().position(|byte| *byte != b' ').unwrap_or(field.len());
    let digits = field.get(begin..).unwrap_or_default();
    let end = digits.iter().position(|byte| !(b'0'..=b'7').contains(byte)).unwrap_or(digits.len());
    end > 0 && digits.iter().skip(end).all(|byte| matches!(byte, 0 | b' '))
}

/// POSIX or GNU tar's, without what tar programs since have put into the rest of the block: star's times, GNU tar's
/// parts of files and volumes.
fn has_known_form(header: &Header<'_>) -> bool {
    let rest = match header.bytes(257..265) {
        b"ustar\x0000" => 500..512,
        b"ustar  \0" => 345..512,
        _ => return false,
    };
    header.bytes(rest).iter().all(|byte| *byte == 0)
}

/// Some readers take a number from the header and others from the record.
fn contradicts(header: &Header<'_>, records: &Records) -> bool {
    let differs = |key: &str, range: std::ops::Range<usize>| {
        let field = header.number(range, "number").unwrap_or(u64::MAX);
        records.get(key).is_some_and(|value| header.decimal(value, "number").ok() != Some(field))
    };
    let time = header.number(136..148, "mtime").ok().and_then(|time| i64::try_from(time).ok());
    let other_time = records.get("mtime").is_some_and(|value| parse_time(value) != time);
    differs("size", 124..136) || differs("uid", 108..116) || differs("gid", 116..124) || other_time
}
