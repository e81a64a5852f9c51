//! Writes archives: ustar headers, with PAX records where ustar is too limited. The same entry gives the same bytes.

use std::io::{self, Read};

use super::{BLOCK, CHECKSUM_KEY, Entry, EntryKind, XATTR_PREFIX, padded};

/// The largest number with seven octal digits, and with eleven.
const ID_MAX: u64 = 0o777_7777;
const SIZE_MAX: u64 = 0o777_7777_7777;

/// The blocks before the content of `entry`: PAX records, if needed, and its header.
#[must_use]
pub fn header(entry: &Entry) -> Vec<u8> {
    let mut out = Vec::new();
    let records = pax_records(entry);
    if !records.is_empty() {
        let size = records.len() as u64;
        let fields = Fields { name: b"./PaxHeaders", kind: b'x', mode: 0o644, size, ..Fields::default() };
        fields.write(&mut out);
        out.extend_from_slice(&records);
        pad(&mut out, size);
    }
    let (kind, target, device) = match &entry.kind {
        EntryKind::File => (b'0', &[][..], None),
        EntryKind::Hardlink(target) => (b'1', target.as_slice(), None),
        EntryKind::Symlink(target) => (b'2', target.as_slice(), None),
        EntryKind::CharDevice(device) => (b'3', &[][..], Some(device)),
        EntryKind::BlockDevice(device) => (b'4', &[][..], Some(device)),
        EntryKind::Directory => (b'5', &[][..], None),
        EntryKind::Fifo => (b'6', &[][..], None),
    };
    let name = header_name(entry);
    Fields {
        name: &name,
        target,
        kind,
        mode: entry.mode,
        uid: entry.uid.into(),
        gid: entry.gid.into(),
        user: &entry.user,
        group: &entry.group,
        size: entry.size,
        mtime: field_time(entry.mtime).unwrap_or_default(),
        device: device.map_or((0, 0), |device| (device.major, device.minor)),
    }
    .write(&mut out);
    out
}

/// Appends an entry and its content, which must have `entry.size` bytes.
pub fn append(out: &mut Vec<u8>, entry: &Entry, content: &mut impl Read) -> io::Result<()> {
    out.extend_from_slice(&header(entry));
    let found = content.take(entry.size.saturating_add(1)).read_to_end(out)? as u64;
    if found != entry.size {
        let path = entry.display_path();
        let message = format!("the content of {path} is not the {} bytes that its entry says", entry.size);
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    pad(out, entry.size);
    Ok(())
}

/// Appends the blocks that end an archive.
pub fn end(out: &mut Vec<u8>) {
    out.resize(out.len() + 2 * BLOCK, 0);
}

fn pad(out: &mut Vec<u8>, size: u64) {
    let padding = usize::try_from(padded(size) - size).unwrap_or_default();
    out.resize(out.len() + padding, 0);
}

/// The path in headers: directories end with a slash.
fn header_name(entry: &Entry) -> Vec<u8> {
    let mut name = entry.path.clone();
    if entry.kind == EntryKind::Directory {
        name.push(b'/');
    }
    name
}

/// Records for what ustar can't represent, sorted by key.
fn pax_records(entry: &Entry) -> Vec<u8> {
    let mut out = Vec::new();
    if let Some(checksum) = &entry.checksum {
        record(&mut out, CHECKSUM_KEY, hex::encode(checksum.as_bytes()).as_bytes());
    }
    for (name, value) in &entry.xattrs {
        record(&mut out, &format!("{XATTR_PREFIX}{name}"), value);
    }
    let big = |out: &mut Vec<u8>, key, value: u64, max| {
        if value > max {
            record(out, key, value.to_string().as_bytes());
        }
    };
    big(&mut out, "gid", entry.gid.into(), ID_MAX);
    if entry.group.len() > 31 {
        record(&mut out, "gname", entry.group.as_bytes());
    }
    if let Some(target) = entry.kind.target().filter(|target| target.len() > 100) {
        record(&mut out, "linkpath", target);
    }
    if field_time(entry.mtime).is_none() {
        record(&mut out, "mtime", entry.mtime.to_string().as_bytes());
    }
    let name = header_name(entry);
    if name.len() > 100 {
        record(&mut out, "path", &name);
    }
    big(&mut out, "size", entry.size, SIZE_MAX);
    big(&mut out, "uid", entry.uid.into(), ID_MAX);
    if entry.user.len() > 31 {
        record(&mut out, "uname", entry.user.as_bytes());
    }
    out
}

/// A time that the header can hold.
fn field_time(mtime: i64) -> Option<u64> {
    u64::try_from(mtime).ok().filter(|mtime| *mtime <= SIZE_MAX)
}

/// One record; its length includes its own digits.
fn record(out: &mut Vec<u8>, key: &str, value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    out.extend_from_slice(format!("{length} {key}=").as_bytes());
    out.extend_from_slice(value);
    out.push(b'\n');
}

/// The fields of a ustar header. Values that are too long are cut, because PAX records contain them in full.
#[derive(Default)]
struct Fields<'a> {
    name: &'a [u8],
    target: &'a [u8],
    kind: u8,
    mode: u32,
    uid: u64,
    gid: u64,
    user: &'a str,
    group: &'a str,
    size: u64,
    mtime: u64,
    device: (u32, u32),
}

impl Fields<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        let begin = out.len();
        text(out, self.name, 100);
        octal(out, self.mode.into(), 8);
        octal(out, self.uid, 8);
        octal(out, self.gid, 8);
        octal(out, self.size, 12);
        octal(out, self.mtime, 12);
        let sum_at = out.len() - begin;
        out.extend_from_slice(b"        ");
        out.push(self.kind);
        text(out, self.target, 100);
        out.extend_from_slice(b"ustar\x0000");
        // These two end with NUL.
        text(out, self.user.as_bytes().get(..31).unwrap_or(self.user.as_bytes()), 32);
        text(out, self.group.as_bytes().get(..31).unwrap_or(self.group.as_bytes()), 32);
        octal(out, self.device.0.into(), 8);
        octal(out, self.device.1.into(), 8);
        out.resize(begin + BLOCK, 0);
        let sum: u64 = out.iter().skip(begin).map(|&b| u64::from(b)).sum();
        let digits = format!("{sum:06o}\0 ");
        for (to, from) in out.iter_mut().skip(begin + sum_at).zip(digits.bytes()) {
            *to = from;
        }
    }
}

fn text(out: &mut Vec<u8>, value: &[u8], width: usize) {
    let end = out.len() + width;
    out.extend(value.iter().take(width));
    out.resize(end, 0);
}

/// Octal digits and a NUL; 0 if a PAX record has the number.
fn octal(out: &mut Vec<u8>, value: u64, width: usize) {
    let digits = width - 1;
    let text = format!("{value:0digits$o}");
    let fits = text.len() == digits;
    out.extend_from_slice(if fits { text } else { "0".repeat(digits) }.as_bytes());
    out.push(0);
}
