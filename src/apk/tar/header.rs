//! Header blocks.

use std::ops::Range;

use super::pax::{Records, parse_decimal};
use super::{BLOCK, CHECKSUM_KEY, Device, EntryKind, PathFault, TarError, check_path, check_text, lossy};
use crate::apk::Checksum;

pub(super) type Block = [u8; BLOCK];

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

    /// The sum of all bytes, those of the checksum itself taken as spaces.
    pub(super) fn verify(&self) -> Result<(), TarError> {
        let sum: u64 = self.block.iter().map(|&b| u64::from(b)).sum();
        let own: u64 = self.bytes(148..156).iter().map(|&b| u64::from(b)).sum();
        if self.number(148..156, "checksum").ok() == Some(sum - own + 8 * u64::from(b' ')) {
            Ok(())
        } else {
            Err(TarError::HeaderChecksum { offset: self.offset })
        }
    }

    /// Octal digits between spaces and NULs, or GNU's base 256.
    pub(super) fn number(&self, range: Range<usize>, field: &'static str) -> Result<u64, TarError> {
        parse_number(self.bytes(range)).ok_or_else(|| self.bad(field))
    }

    pub(super) fn decimal(&self, value: &[u8], field: &'static str) -> Result<u64, TarError> {
        parse_decimal(value).ok_or_else(|| self.bad(field))
    }

    /// The name, behind its prefix where the header is of POSIX's make.
    pub(super) fn path(&self) -> Vec<u8> {
        let name = self.text(0..100);
        let prefix = if self.bytes(257..263) == b"ustar\0" { self.text(345..500) } else { Vec::new() };
        if prefix.is_empty() { name } else { [prefix, name].join(&b'/') }
    }

    pub(super) fn entry_kind(&self, path: &[u8], raw: &[u8], target: Vec<u8>) -> Result<EntryKind, TarError> {
        let kind = match self.kind() {
            // Before POSIX a directory was a file whose name ends with a slash.
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
            u32::try_from(value).map_err(|_| self.bad("device number"))
        };
        Ok(Device { major: number(329..337)?, minor: number(337..345)? })
    }

    /// Without the bits that say what the entry is, which some writers put there too.
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

    pub(super) fn name(&self, records: &Records, key: &'static str, range: Range<usize>) -> Result<String, TarError> {
        let is_ustar = self.bytes(257..262) == b"ustar";
        let value = match records.get(key) {
            Some(value) => value.clone(),
            None if is_ustar => self.text(range),
            None => Vec::new(),
        };
        let bad = value.len() > 255 || value.iter().any(|&b| b < b' ' || b == b':');
        String::from_utf8(value).ok().filter(|_| !bad).ok_or_else(|| self.bad(key))
    }

    pub(super) fn mtime(&self, records: &Records) -> Result<u64, TarError> {
        match records.get("mtime") {
            Some(value) => {
                let seconds = value.split(|&b| b == b'.').next().unwrap_or_default();
                self.decimal(seconds, "mtime")
            }
            None => self.number(136..148, "mtime"),
        }
    }

    pub(super) fn checksum_record(&self, records: &Records) -> Result<Option<Checksum>, TarError> {
        let Some(value) = records.get(CHECKSUM_KEY) else { return Ok(None) };
        let mut bytes = [0; 20];
        hex::decode_to_slice(value, &mut bytes).map_err(|_| self.bad(CHECKSUM_KEY))?;
        Ok(Some(Checksum::from(bytes)))
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
        // 0xff begins a negative number.
        let mut value = u64::from(first & 0x7f);
        for &byte in rest {
            value = value.checked_mul(256)?.checked_add(u64::from(byte))?;
        }
        return Some(value);
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

pub(super) fn until_nul(mut bytes: Vec<u8>) -> Vec<u8> {
    let end = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
    bytes.truncate(end);
    bytes
}
