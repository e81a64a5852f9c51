//! `APKINDEX.tar.gz`: a signature member, then a member with the index.

use std::fmt::Display;
use std::io::Read;

use flate2::bufread::MultiGzDecoder;
use libdeflater::{DecompressionError, Decompressor};

use super::{LeftOut, Listed, parse, text};
use crate::apk::signature::{self, KeyError, Keyring, Signature, SignatureError, SigningKey};
use crate::apk::tar::{self, Entries, Entry, EntryKind, TarError};
use crate::apk::{Package, gzip};

/// Largest `APKINDEX.tar.gz`. Alpine's largest has 2.5 MB.
pub const FILE_LIMIT: u64 = 256 << 20;

/// The largest uncompressed index, in bytes. Alpine's largest has 10 MB.
const LIMIT: usize = 1 << 29;

/// The packages of a repository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Index {
    /// The repository's description; for Alpine's, the revision of its source, `v3.20.3-38-g5b99a0b2f22`.
    pub description: String,
    pub packages: Vec<Package>,
    /// Entries that can't be read.
    pub left_out: Vec<LeftOut>,
}

/// A verified index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIndex {
    pub index: Index,
    /// Names of the trusted keys that signed it.
    pub keys: Vec<String>,
}

/// Why an index file is refused.
#[derive(Debug, thiserror::Error)]
pub enum IndexFileError {
    /// It has no trusted signature.
    #[error("the index is not trusted")]
    Signature(#[source] SignatureError),
    /// It is an index of apk-tools 3.
    #[error(
        "this is an index of format v3 (ADB, made by apk-tools 3); mailimg reads format v2, which Alpine publishes"
    )]
    FormatV3,
    /// It is a web page.
    #[error("the index is not a gzip file but looks like HTML: a proxy or login page may have answered")]
    Html,
    /// The compressed data is damaged.
    #[error("the index is not a gzip file, or is damaged")]
    Gzip,
    /// It expands to more than any real index has.
    #[error("the index expands to more than {LIMIT} bytes")]
    TooLarge,
    #[error("the index was rejected")]
    Tar(#[from] TarError),
    /// `APKINDEX` is not in it.
    #[error("the index file contains no APKINDEX")]
    NoIndex,
    #[error("can't sign the index")]
    Key(#[from] KeyError),
}

impl Index {
    /// An index of packages, sorted by name, then version, as `apk index` does.
    #[must_use]
    pub fn new(description: impl Into<String>, mut packages: Vec<Package>) -> Self {
        packages.sort_by(|a, b| {
            let versions = || a.version.cmp(&b.version).then_with(|| a.version.as_str().cmp(b.version.as_str()));
            a.name.cmp(&b.name).then_with(versions).then_with(|| a.checksum.cmp(&b.checksum))
        });
        Self { description: description.into(), packages, left_out: Vec::new() }
    }

    /// Reads an index file and checks that a trusted key has signed it.
    pub fn read(bytes: &[u8], keyring: &Keyring) -> Result<SignedIndex, IndexFileError> {
        let (signatures, signed) = split(bytes)?;
        let keys = keyring.verify(&signatures, signed).map_err(IndexFileError::Signature)?;
        Ok(SignedIndex { index: Self::read_member(signed)?, keys })
    }

    /// Reads an index file, signed or not, that has been verified in some other way.
    pub fn read_unverified(bytes: &[u8]) -> Result<Self, IndexFileError> {
        Self::read_member(split(bytes)?.1)
    }

    fn read_member(member: &[u8]) -> Result<Self, IndexFileError> {
        let archive = expand(member)?;
        let mut entries = Entries::new(&archive[..]);
        let mut description = String::new();
        let mut listed = None;
        while let Some(entry) = entries.next()? {
            let range = entries.position().content.clone();
            let range = usize::try_from(range.start).ok().zip(usize::try_from(range.end).ok());
            let content = range.and_then(|(start, end)| archive.get(start..end));
            let content = content.ok_or(TarError::Truncated { offset: archive.len() as u64 })?;
            match &entry.path[..] {
                b"DESCRIPTION" => String::from_utf8_lossy(content).trim_end().clone_into(&mut description),
                b"APKINDEX" => listed = Some(parse(content)),
                _ => {}
            }
        }
        let Listed { packages, left_out } = listed.ok_or(IndexFileError::NoIndex)?;
        Ok(Self { description, packages, left_out })
    }

    /// Logs the entries that were left out of the index at `place`.
    pub fn log_left_out(&self, place: &impl Display) {
        self.left_out.iter().for_each(|entry| tracing::info!("{place}: {entry}"));
    }

    /// The index file, signed if there is a key. The same packages give the same bytes.
    pub fn write(&self, key: Option<&SigningKey>) -> Result<Vec<u8>, IndexFileError> {
        let text = text(&self.packages);
        let mut archive = Vec::new();
        for (name, content) in [("DESCRIPTION", &self.description), ("APKINDEX", &text)] {
            let mut entry = Entry::new(name, EntryKind::File, 0o644);
            entry.size = content.len() as u64;
            tar::append(&mut archive, &entry, &mut content.as_bytes()).map_err(TarError::Read)?;
        }
        tar::end(&mut archive);
        let member = gzip::compress(&archive);
        sign(&member, key)
    }
}

/// Signs an index file without rewriting it, replacing its signatures.
pub fn sign_file(bytes: &[u8], key: &SigningKey) -> Result<Vec<u8>, IndexFileError> {
    let (_, member) = split(bytes)?;
    sign(member, Some(key))
}

fn sign(member: &[u8], key: Option<&SigningKey>) -> Result<Vec<u8>, IndexFileError> {
    let signature = key.map(|key| key.sign(member)).transpose()?.unwrap_or_default();
    Ok([&signature, member].concat())
}

fn split(bytes: &[u8]) -> Result<(Vec<Signature>, &[u8]), IndexFileError> {
    if bytes.starts_with(b"ADB") {
        return Err(IndexFileError::FormatV3);
    }
    if gzip::is_html(bytes) {
        return Err(IndexFileError::Html);
    }
    if !gzip::is_gzip(bytes) {
        return Err(IndexFileError::Gzip);
    }
    signature::split(bytes).map_err(IndexFileError::Signature)
}

/// Expands gzip, at once: three times as fast as by stream.
fn expand(member: &[u8]) -> Result<Vec<u8>, IndexFileError> {
    // The trailer states the size, but may be wrong.
    let claim = member.last_chunk::<4>().map(|size| u32::from_le_bytes(*size)).ok_or(IndexFileError::Gzip)?;
    let claim = usize::try_from(claim).map_err(|_| IndexFileError::TooLarge)?;
    let mut size = claim.clamp(1 << 16, LIMIT);
    let mut decompressor = Decompressor::new();
    loop {
        let mut out = vec![0; size];
        match decompressor.gzip_decompress(member, &mut out) {
            Ok(size) if size == claim => {
                out.truncate(size);
                return Ok(out);
            }
            // The trailer is that of another stream, behind the first.
            Ok(_) => return expand_streams(member),
            Err(DecompressionError::InsufficientSpace) if size < LIMIT => size = size.saturating_mul(4).min(LIMIT),
            Err(DecompressionError::InsufficientSpace) => return Err(IndexFileError::TooLarge),
            Err(DecompressionError::BadData) => return Err(IndexFileError::Gzip),
        }
    }
}

fn expand_streams(member: &[u8]) -> Result<Vec<u8>, IndexFileError> {
    let mut out = Vec::new();
    let read = MultiGzDecoder::new(member).take(LIMIT as u64 + 1).read_to_end(&mut out);
    match read.map_err(|_| IndexFileError::Gzip)? {
        size if size > LIMIT => Err(IndexFileError::TooLarge),
        _ => Ok(out),
    }
}

#[cfg(test)]
mod tests;
