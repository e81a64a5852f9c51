//! PAX records.

use std::collections::BTreeMap;

use super::{CHECKSUM_KEY, TarError, XATTR_PREFIX};
use crate::apk::Checksum;

pub(super) type Records = BTreeMap<String, Vec<u8>>;

/// The SHA-1 of the content, as apk has it. A malformed one is as good as none: nothing is verified by it.
pub(super) fn checksum(records: &Records) -> Option<Checksum> {
    let mut bytes = [0; 20];
    hex::decode_to_slice(records.get(CHECKSUM_KEY)?, &mut bytes).ok()?;
    Some(Checksum::from(bytes))
}

pub(super) fn xattrs(records: Records) -> BTreeMap<String, Vec<u8>> {
    records
        .into_iter()
        .filter_map(|(key, value)| key.strip_prefix(XATTR_PREFIX).map(|name| (name.to_owned(), value)))
        .collect()
}

/// Records are `LENGTH KEY=VALUE` and a newline; the length covers all of it.
pub(super) fn pax_records(mut bytes: &[u8], offset: u64) -> Result<Vec<(String, Vec<u8>)>, TarError> {
    let bad = |reason| TarError::Pax { offset, reason };
    let mut records = Vec::new();
    while !bytes.is_empty() {
        let digits = bytes.iter().position(|&b| b == b' ').ok_or_else(|| bad("a record has no length"))?;
        let length = bytes.get(..digits).and_then(parse_decimal).and_then(|n| usize::try_from(n).ok());
        let length = length.ok_or_else(|| bad("a record's length is not a number"))?;
        let record = bytes.get(digits + 1..length).ok_or_else(|| bad("a record's length is wrong"))?;
        let record = record.strip_suffix(b"\n").ok_or_else(|| bad("a record does not end with a newline"))?;
        let equals = record.iter().position(|&b| b == b'=').ok_or_else(|| bad("a record has no “=”"))?;
        let key = record.get(..equals).and_then(|key| std::str::from_utf8(key).ok());
        let key = key.filter(|key| !key.is_empty()).ok_or_else(|| bad("a record's key is not UTF-8"))?;
        records.push((key.to_owned(), record.get(equals + 1..).unwrap_or_default().to_vec()));
        bytes = bytes.get(length..).unwrap_or_default();
    }
    Ok(records)
}

pub(super) fn parse_decimal(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}
