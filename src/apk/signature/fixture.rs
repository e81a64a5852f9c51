//! Signature members as other tools write them.

use crate::apk::gzip::compress_like_gzip;
use crate::apk::tar::fixture::{block, extension, padded_content, record, set};

use super::{SigningKey, split};

/// A way of writing the archive.
pub(crate) struct Way {
    pub(crate) tool: &'static str,
    /// Whether it supports names of more than 100 bytes.
    pub(crate) takes_long_names: bool,
    /// Makes the archive of a signature's name and bytes.
    archive: fn(&str, &[u8]) -> Vec<u8>,
}

/// Observed on GNU tar 1.34, bsdtar 3.6 and busybox 1.35, which abuild, its forks and people's scripts call.
pub(crate) const WAYS: [Way; 9] = [
    way("GNU tar, --format=pax", false, |name, content| {
        let times: String = ["mtime", "atime", "ctime"].map(|key| record(key, "1763292262.149326535")).concat();
        end([extension(b'x', times.as_bytes()), entry(name, content, b"ustar\x0000")].concat(), 8192)
    }),
    way("GNU tar, --format=gnu", false, |name, content| end(entry(name, content, b"ustar  \0"), 9216)),
    way("GNU tar, --format=v7", false, |name, content| end(entry(name, content, &[0; 8]), 9216)),
    way("GNU tar, a long name", true, |name, content| {
        let long = extension(b'L', format!("{name}\0").as_bytes());
        end([long, entry(name, content, b"ustar  \0")].concat(), 8192)
    }),
    way("bsdtar, pax", true, |name, content| {
        let records =
            record("path", name) + &record("ctime", "1763292262.15") + &record("LIBARCHIVE.creationtime", "0");
        end([extension(b'x', records.as_bytes()), spaced(name, content)].concat(), 1024)
    }),
    way("bsdtar, ustar", false, |name, content| end(spaced(name, content), 1024)),
    way("busybox", false, |name, content| end(entry(name, content, b"ustar  \0"), 1024)),
    way("abuild, which cuts the end off", false, |name, content| entry(name, content, b"ustar\x0000")),
    way("a global header first", false, |name, content| {
        let global = extension(b'g', record("comment", "4fe5").as_bytes());
        end([global, entry(name, content, b"ustar\x0000")].concat(), 1024)
    }),
];

const fn way(tool: &'static str, takes_long_names: bool, archive: fn(&str, &[u8]) -> Vec<u8>) -> Way {
    Way { tool, takes_long_names, archive }
}

impl Way {
    /// A signature member for `message`.
    pub(crate) fn sign(&self, key: &SigningKey, message: &[u8]) -> Vec<u8> {
        let own = split(&key.sign(message).unwrap()).unwrap().0;
        compress_like_gzip(&(self.archive)(&format!(".SIGN.RSA256.{}", key.name()), &own[0].bytes))
    }
}

fn entry(name: &str, content: &[u8], magic: &[u8]) -> Vec<u8> {
    let header = block(|block| {
        block[..100].fill(0);
        set(block, 0, &name.as_bytes()[..name.len().min(100)]);
        set(block, 124, format!("{:011o}", content.len()).as_bytes());
        set(block, 257, magic);
        if magic == [0; 8] {
            block[156] = 0;
        }
    });
    [header, padded_content(content)].concat()
}

/// With spaces after numbers, as bsdtar writes them.
fn spaced(name: &str, content: &[u8]) -> Vec<u8> {
    let header = block(|block| {
        block[..100].fill(0);
        set(block, 0, &name.as_bytes()[..name.len().min(100)]);
        set(block, 100, b"000644 \x00000000 \x00000000 \0");
        set(block, 124, format!("{:011o} 15301732774 ", content.len()).as_bytes());
    });
    [header, padded_content(content)].concat()
}

fn end(mut archive: Vec<u8>, zeros: usize) -> Vec<u8> {
    archive.resize(archive.len() + zeros, 0);
    archive
}
