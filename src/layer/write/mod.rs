use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom, Write};
use std::ops::Range;

use flate2::write::MultiGzDecoder;
use serde::{Deserialize, Serialize};
use sha2::Digest as _;

use super::Layer;
use super::draft::{Item, ItemContent, Segment};
use super::gzip::GzipMembers;
use crate::apk::package::{DataReader, EntryId, PackageError};
use crate::apk::tar::{self, EntryKind};
use crate::digest::Sha256;
use crate::packages::{ObtainError, Obtained};
use crate::rootfs::{PackageId, TreePath};
use crate::store::{Incoming, Keeper, Question, Store, StoreError};
use crate::table::{Id as _, Table};

/// Largest layer, compressed.
const LIMIT: u64 = 64 << 30;

/// Why a layer can't be written.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    /// A stream can't be read or compressed.
    #[error("can't write the layer of {title}")]
    Io {
        title: String,
        #[source]
        source: io::Error,
    },
    /// The store can't give or take something.
    #[error("can't write the layer of {title}")]
    Store {
        title: String,
        #[source]
        source: StoreError,
    },
    /// A path whose directory is missing from the tree.
    #[error("the image's tree has something in {path}, but no such directory")]
    NoDirectory { path: TreePath },
    /// A package's data can't be opened.
    #[error(transparent)]
    Packages(#[from] ObtainError),
    /// A package's data can't be read again.
    #[error("can't read package {package} again")]
    Package {
        package: String,
        #[source]
        source: PackageError,
    },
    /// A layer from which a segment is copied has changed.
    #[error("can't read the layer {layer}, part of which belongs in another layer")]
    Damaged {
        layer: Sha256,
        #[source]
        source: io::Error,
    },
    /// A package's data has changed since the tree was built.
    #[error("package {package} has changed in the store: {path} is missing or different")]
    Changed { package: String, path: String },
}

/// The layer written earlier under `key`, if the store still has it.
#[must_use]
pub fn recall(store: &Store, key: Sha256, title: &str) -> Option<Layer> {
    let Made { digest, size, diff_id } = store.recall(&LayerOf(key))?;
    store.find_sized(&digest, size)?;
    Some(Layer { digest, size, diff_id, title: title.to_owned() })
}

/// Which layer has this key?
struct LayerOf(Sha256);

impl Question for LayerOf {
    const NAME: &'static str = "layer";
    const VERSION: u32 = 1;
    type Answer = Made;

    fn subject(&self) -> Sha256 {
        self.0
    }

    fn refers_to(&self, layer: &Made) -> Vec<Sha256> {
        vec![layer.digest]
    }
}

/// Where is the segment that has this key?
struct SegmentOf(Sha256);

impl Question for SegmentOf {
    const NAME: &'static str = "segment";
    const VERSION: u32 = 1;
    type Answer = Part;

    fn subject(&self) -> Sha256 {
        self.0
    }

    fn refers_to(&self, part: &Part) -> Vec<Sha256> {
        vec![part.layer]
    }
}

/// What the store remembers about a layer.
#[derive(Serialize, Deserialize)]
struct Made {
    digest: Sha256,
    size: u64,
    diff_id: Sha256,
}

/// What the store remembers about a segment: the layer that contains it, and its position.
#[derive(Serialize, Deserialize)]
struct Part {
    layer: Sha256,
    layer_size: u64,
    begin: u64,
    end: u64,
}

/// Makes the layer `key` of its segments, hands it to the store and has it remembered. `packages` are the image's.
///
/// A segment that an earlier layer contains is copied from there instead of compressed again. Packages are read as
/// streams, in constant memory.
pub fn write(
    title: &str,
    key: Sha256,
    segments: &[Segment],
    packages: &Table<PackageId, Obtained<'_>>,
    keeper: &Keeper,
) -> Result<Layer, LayerError> {
    let store = keeper.store();
    let failed = |source| LayerError::Store { title: title.to_owned(), source };
    let layer = store.incoming(LIMIT).map_err(failed)?;
    let mut writer = Writer { title, packages, store, layer, diff: sha2::Sha256::new(), made: Vec::new() };
    for segment in segments {
        writer.segment(segment)?;
    }
    writer.end()?;
    let diff_id = Sha256::from(<[u8; 32]>::from(writer.diff.finalize()));
    let (digest, size) = keeper.keep(writer.layer, None).map_err(failed)?;
    let remember = || {
        for (segment, Range { start: begin, end }) in writer.made {
            store.remember(&SegmentOf(segment), &Part { layer: digest, layer_size: size, begin, end })?;
        }
        store.remember(&LayerOf(key), &Made { digest, size, diff_id })
    };
    remember().map_err(failed)?;
    Ok(Layer { digest, size, diff_id, title: title.to_owned() })
}

struct Writer<'a> {
    title: &'a str,
    packages: &'a Table<PackageId, Obtained<'a>>,
    store: &'a Store,
    /// The layer's compressed bytes.
    layer: Incoming,
    /// The hash of the uncompressed bytes.
    diff: sha2::Sha256,
    /// The keys and positions of the segments compressed for this layer.
    made: Vec<(Sha256, Range<u64>)>,
}

impl Writer<'_> {
    fn io(&self) -> impl Fn(io::Error) -> LayerError + use<> {
        let title = self.title.to_owned();
        move |source| LayerError::Io { title: title.clone(), source }
    }

    fn segment(&mut self, segment: &Segment) -> Result<(), LayerError> {
        let Some(package) = segment.package else { return self.compress(segment, None) };
        let package = &self.packages[package];
        let key = segment.key(|package| self.packages[package].package.data.sha256);
        let kept = self.store.recall(&SegmentOf(key)).and_then(|part| {
            let path = self.store.find_sized(&part.layer, part.layer_size)?;
            Some((File::open(path).ok()?, part))
        });
        if let Some((layer, part)) = kept {
            return self.copy(layer, &part);
        }
        let begin = self.layer.size();
        self.compress(segment, Some(package))?;
        self.made.push((key, begin..self.layer.size()));
        Ok(())
    }

    /// Appends a segment copied from an earlier layer.
    fn copy(&mut self, mut layer: File, part: &Part) -> Result<(), LayerError> {
        let (title, damaged) = (self.title, |source| LayerError::Damaged { layer: part.layer, source });
        layer.seek(SeekFrom::Start(part.begin)).map_err(damaged)?;
        let mut left = part.end.saturating_sub(part.begin);
        let mut content = MultiGzDecoder::new(Hasher(&mut self.diff));
        let mut buffer = vec![0; 1 << 16];
        while left > 0 {
            let length = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
            let bytes = buffer.get_mut(..length).unwrap_or_default();
            layer.read_exact(bytes).map_err(damaged)?;
            content.write_all(bytes).map_err(damaged)?;
            self.layer.write(bytes).map_err(|source| LayerError::Store { title: title.to_owned(), source })?;
            left -= length as u64;
        }
        content.finish().map(drop).map_err(damaged)
    }

    /// Compresses a segment and appends it.
    fn compress(&mut self, segment: &Segment, package: Option<&Obtained<'_>>) -> Result<(), LayerError> {
        let io = self.io();
        let mut data = package.map(Data::open).transpose()?;
        let mut out = Uncompressed { diff: &mut self.diff, gzip: GzipMembers::new(&mut self.layer) };
        for Item { header, content } in &segment.items {
            out.write_all(&tar::header(header)).map_err(&io)?;
            match (content, &mut data) {
                (ItemContent::Nothing, _) => {}
                (ItemContent::Inline(bytes), _) => pour(&mut &bytes[..], header.size, &mut out).map_err(&io)?,
                (ItemContent::Package(entry), Some(data)) => {
                    data.seek(*entry, header)?;
                    pour(&mut data.reader.content(), header.size, &mut out).map_err(&io)?;
                }
                (ItemContent::Package(_), None) => return Err(io(io::ErrorKind::NotFound.into())),
            }
        }
        out.gzip.finish().map(drop).map_err(&io)
    }

    /// Writes the end of the archive, after which readers stop.
    fn end(&mut self) -> Result<(), LayerError> {
        let io = self.io();
        let mut out = Uncompressed { diff: &mut self.diff, gzip: GzipMembers::new(&mut self.layer) };
        let mut end = Vec::new();
        tar::end(&mut end);
        out.write_all(&end).map_err(&io)?;
        out.gzip.finish().map(drop).map_err(&io)
    }
}

/// A package's data, read sequentially.
struct Data<'a> {
    package: &'a str,
    reader: DataReader<File>,
    /// The number of entries read.
    read: usize,
}

impl<'a> Data<'a> {
    fn open(obtained: &'a Obtained<'_>) -> Result<Self, ObtainError> {
        Ok(Self { package: &obtained.package.file, reader: DataReader::new(obtained.data()?), read: 0 })
    }

    /// Advances to an entry, which must be the file described by `expected`.
    fn seek(&mut self, entry: EntryId, expected: &tar::Entry) -> Result<(), LayerError> {
        let package = || self.package.to_owned();
        let mut found = None;
        while self.read <= entry.number() {
            found = self.reader.next_entry().map_err(|source| LayerError::Package { package: package(), source })?;
            self.read += 1;
            if found.is_none() {
                break;
            }
        }
        match found {
            Some(entry) if entry.kind == EntryKind::File && entry.size == expected.size => Ok(()),
            _ => Err(LayerError::Changed { package: package(), path: expected.display_path().into_owned() }),
        }
    }
}

/// Copies a file's content, padded with zeros to a full block.
fn pour(content: &mut impl Read, size: u64, out: &mut impl Write) -> io::Result<()> {
    if io::copy(&mut content.take(size), out)? != size {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let padding = size.next_multiple_of(tar::BLOCK as u64) - size;
    io::copy(&mut io::repeat(0).take(padding), out).map(drop)
}

/// Hashes uncompressed bytes, then compresses them.
struct Uncompressed<'a, W> {
    diff: &'a mut sha2::Sha256,
    gzip: GzipMembers<W>,
}

impl<W: Write> Write for Uncompressed<'_, W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.gzip.write(buffer)?;
        self.diff.update(buffer.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Hasher<'a>(&'a mut sha2::Sha256);

impl Write for Hasher<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.0.update(buffer);
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
