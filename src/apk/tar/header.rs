//! Header blocks.

use std::ops::Range;

use super::pax::{Records, parse_decimal};
use super::{BLOCK, Device, EntryKind, PathFault, TarError, check_path, check_text, lossy};

pub(super) type Block = [u8; BLOCK];

/// The largest number of a device that a header has room for. Linux's are smaller.
const DEVICE_MAX: u32 = 0o777_7777;

/// One header block.
pub(super) struct Header<'a> {
    pub(super) block: &'a Block,
    pub(super) offset: u64,
}

impl Header<'_> {
    pub(super) fn bad(&self, field: &'static str) -> TarError {
        TarError::Field { field, offset: self.offset }
    }

    pub(super) fn bytes(&self, range: Range<usize>) -> &[u8] {
        self.block.get(range).unwrap_or_default()
    }

    pub(super) fn byte(&self, position: usize) -> u8 {
        self.block.get(position).copied().unwrap_or_default()
    }

    pub(super) fn kind(&self) -> u8 {
        self.byte(156)
    }

    pub(super) fn text(&self, range: Range<usize>) -> Vec<u8> {
        until_nul(self.bytes(range).to_vec())
    }

    /// Checks the sum of all bytes, with the checksum field counted as spaces. Some writers take bytes as signed.
    pub(super) fn verify(&self) -> Result<(), TarError> {
        let unsigned = self.sum();
        let signed = || {
            let high = |bytes: &[u8]| bytes.iter().filter(|&&b| b >= 0x80).count() as u64;
            unsigned.checked_sub(256 * (high(self.block) - high(self.bytes(148..156))))
        };
        let found = self.number(148..156, "checksum").ok();
        if found == Some(unsigned) || found.is_some() && found == signed() {
            Ok(())
        } else {
            Err(TarError::HeaderChecksum { offset: self.offset })
        }
    }

    fn sum(&self) -> u64 {
        let sum = |bytes: &[u8]| bytes.iter().map(|&b| u64::from(b)).sum::<u64>();
        sum(self.block) - sum(self.bytes(148..156)) + 8 * u64::from(b' ')
    }

    /// Whether the checksum is written as every reader expects it: of unsigned bytes, in octal.
    pub(super) fn has_plain_checksum(&self) -> bool {
        self.byte(148) & 0x80 == 0 && self.number(148..156, "checksum").ok() == Some(self.sum())
    }

    /// Parses octal digits padded with spaces and NULs, or GNU's base 256.
    pub(super) fn number(&self, range: Range<usize>, field: &'static str) -> Result<u64, TarError> {
        parse_number(self.bytes(range)).ok_or_else(|| self.bad(field))
    }

    pub(super) fn decimal(&self, value: &[u8], field: &'static str) -> Result<u64, TarError> {
        parse_decimal(value).ok_or_else(|| self.bad(field))
    }

    /// The name, with its prefix in a POSIX header.
    pub(super) fn path(&self) -> Vec<u8> {
        let name = self.text(0..100);
        let prefix = if self.bytes(257..263) == b"ustar\0" { self.text(345..500) } else { Vec::new() };
        if prefix.is_empty() { name } else { [prefix, name].join(&b'/') }
    }

    pub(super) fn entry_kind(&self, path: &[u8], raw: &[u8], target: Vec<u8>) -> Result<EntryKind, TarError> {
        let kind = match self.kind() {
            // Before POSIX, a directory was a file with a slash at the end of its name.
            0 if raw.ends_with(b"/") => EntryKind::Directory,
            b'0' | b'7' | b'S' | 0 => EntryKind::File,
            b'1' => EntryKind::Hardlink(target),
            b'2' => EntryKind::Symlink(target),
            b'3' => EntryKind::CharDevice(self.device()?),
            b'4' => EntryKind::BlockDevice(self.device()?),
            b'5' => EntryKind::Directory,
            b'6' => EntryKind::Fifo,
            other => return Err(TarError::Kind { path: lossy(path), kind: char::from(other) }),
        };
        if raw.ends_with(b"/") && kind != EntryKind::Directory {
            return Err(TarError::Path { path: lossy(raw), fault: PathFault::TrailingSlash });
        }
        let fault = match &kind {
            EntryKind::Hardlink(target) => check_path(target),
            EntryKind::Symlink(target) => check_text(target),
            _ => Ok(()),
        };
        fault.map_err(|fault| TarError::Target { path: lossy(path), fault })?;
        Ok(kind)
    }

    pub(super) fn device(&self) -> Result<Device, TarError> {
        let number = |range| {
            let value = self.number(range, "device number")?;
            let number = u32::try_from(value).ok().filter(|number| *number <= DEVICE_MAX);
            number.ok_or_else(|| self.bad("device number"))
        };
        Ok(Device { major: number(329..337)?, minor: number(337..345)? })
    }

    /// Drops the file type bits that some writers include.
    pub(super) fn mode(&self) -> Result<u32, TarError> {
        let mode = self.number(100..108, "mode")?;
        u32::try_from(mode & 0o7777).map_err(|_| self.bad("mode"))
    }

    pub(super) fn id(&self, records: &Records, key: &'static str, range: Range<usize>) -> Result<u32, TarError> {
        let value = match records.get(key) {
            Some(value) => self.decimal(value, key)?,
            None => self.number(range, key)?,
        };
        u32::try_from(value).map_err(|_| self.bad(key))
    }

    /// The name of an owner. One that no account can have counts as none, so that the number decides.
    pub(super) fn name(&self, records: &Records, key: &str, range: Range<usize>) -> String {
        let is_ustar = self.bytes(257..262) == b"ustar";
        let value = match records.get(key) {
            Some(value) => value.clone(),
            None if is_ustar => self.text(range),
            None => Vec::new(),
        };
        let bad = value.len() > 255 || value.iter().any(|&b| b < b' ' || b == b':');
        String::from_utf8(value).ok().filter(|_| !bad).unwrap_or_default()
    }

    pub(super) fn mtime(&self, records: &Records) -> Result<i64, TarError> {
        let mtime = match records.get("mtime") {
            Some(value) => parse_time(value),
            None => parse_signed(self.bytes(136..148)),
        };
        mtime.ok_or_else(|| self.bad("mtime"))
    }

    pub(super) fn old_sparse_numbers(
        &self,
        begin: usize,
        count: usize,
        numbers: &mut Vec<u64>,
    ) -> Result<(), TarError> {
        for at in (begin..).step_by(24).take(count) {
            if self.byte(at) == 0 {
                break;
            }
            numbers.push(self.number(at..at + 12, "sparse map")?);
            numbers.push(self.number(at + 12..at + 24, "sparse map")?);
        }
        Ok(())
    }
}

fn parse_number(field: &[u8]) -> Option<u64> {
    if let Some((&first, rest)) = field.split_first().filter(|(first, _)| **first & 0x80 != 0) {
        // 0xff starts a negative number.
        let first = u64::from(first & 0x7f);
        return rest.iter().try_fold(first, |value, &byte| value.checked_mul(256)?.checked_add(u64::from(byte)));
    }
    let begin = field.iter().position(|&b| b != b' ').unwrap_or(field.len());
    let digits = field.get(begin..)?;
    let end = digits.iter().position(|&b| b == b' ' || b == 0).unwrap_or(digits.len());
    let (digits, rest) = digits.split_at_checked(end)?;
    if rest.iter().any(|&b| b != b' ' && b != 0) {
        return None;
    }
    digits.iter().try_fold(0_u64, |value, &digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 8)?;
        value.checked_mul(8)?.checked_add(u64::from(digit))
    })
}

/// As [`parse_number`], or a negative number in base 256.
fn parse_signed(field: &[u8]) -> Option<i64> {
    match field.split_first() {
        Some((0xff, rest)) => {
            // The complement is not negative.
            let complement =
                rest.iter().try_fold(0_i64, |value, &byte| value.checked_mul(256)?.checked_add((!byte).into()));
            complement.map(|value| !value)
        }
        _ => parse_number(field)?.try_into().ok(),
    }
}

/// Seconds with a sign and a fraction, as PAX records have them; rounded down.
pub(super) fn parse_time(value: &[u8]) -> Option<i64> {
    let (is_negative, value) = value.strip_prefix(b"-").map_or((false, value), |rest| (true, rest));
    let point = value.iter().position(|&b| b == b'.').unwrap_or(value.len());
    let (seconds, fraction) = value.split_at_checked(point)?;
    let fraction = fraction.strip_prefix(b".").unwrap_or_default();
    let seconds = i64::try_from(parse_decimal(seconds)?).ok()?;
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let has_fraction = fraction.iter().any(|&b| b != b'0');
    Some(if is_negative { -seconds - i64::from(has_fraction) } else { seconds })
}

pub(super) fn until_nul(mut bytes: Vec<u8>) -> Vec<u8> {
    let end = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
    bytes.truncate(end);
    bytes
}
