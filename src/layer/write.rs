use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _, SeekFrom, Write};

use flate2::bufread::MultiGzDecoder;
use sha2::Digest as _;

use super::Layer;
use super::draft::{Item, ItemContent, Segment};
use super::gzip::GzipMembers;
use crate::apk::package::{DataReader, PackageError};
use crate::apk::tar::{self, EntryKind};
use crate::digest::Sha256;
use crate::lock::{LockError, Obtained};
use crate::store::{Incoming, Keeper, Store, StoreError};

/// Largest layer or segment, compressed.
const LIMIT: u64 = 64 << 30;

/// Why a layer can't be written.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    /// A stream can't be read or compressed.
    #[error("writing the layer of {title} failed")]
    Io {
        /// What the layer is.
        title: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The store can't give or take something.
    #[error("writing the layer of {title} failed")]
    Store {
        /// What the layer is.
        title: String,
        /// Why.
        #[source]
        source: StoreError,
    },
    /// A package's data can't be opened.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A package's data can't be read again.
    #[error("reading package {package} again failed")]
    Package {
        /// The package.
        package: String,
        /// Why.
        #[source]
        source: PackageError,
    },
    /// A package's data isn't what it was when the tree was made.
    #[error("package {package} has changed in the store: {path} is not there as it was")]
    Changed {
        /// The package.
        package: String,
        /// The file.
        path: String,
    },
}

/// The layer that was made under `key` before, if the store still has it.
#[must_use]
pub fn recall(store: &Store, key: &Sha256, title: &str) -> Option<Layer> {
    let answer = String::from_utf8(store.recall(key)?).ok()?;
    let (digest, diff_id) = answer.split_once(' ')?;
    let (digest, diff_id) = (digest.parse().ok()?, diff_id.parse().ok()?);
    let size = store.find(&digest)?.metadata().ok()?.len();
    Some(Layer { digest, size, diff_id, title: title.to_owned() })
}

/// Makes the layer `key` of its segments, hands it to the store and has it remembered. `packages` are the
/// image's, in install order.
///
/// A package's segment that was made before, for another layer, is taken from there and not compressed again. Packages are
/// read as streams: memory doesn't grow with them.
pub fn write(
    title: &str,
    key: &Sha256,
    segments: &[Segment],
    packages: &[Obtained<'_>],
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
        writer.made.iter().try_for_each(|(segment, at)| store.remember(segment, at.in_layer(digest)))?;
        store.remember(key, format!("{digest} {diff_id}"))
    };
    remember().map_err(failed)?;
    Ok(Layer { digest, size, diff_id, title: title.to_owned() })
}

/// Where in a layer a segment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    offset: u64,
    size: u64,
}

impl Range {
    /// What is remembered of a segment.
    fn in_layer(self, layer: Sha256) -> String {
        format!("{layer} {} {}", self.offset, self.size)
    }

    /// A segment that was made before, if the store still has its layer.
    fn recall(store: &Store, segment: &Sha256) -> Option<(Self, File)> {
        let answer = String::from_utf8(store.recall(segment)?).ok()?;
        let mut words = answer.split(' ');
        let layer = store.open_entry(&words.next()?.parse().ok()?).ok()?;
        let range = Self { offset: words.next()?.parse().ok()?, size: words.next()?.parse().ok()? };
        Some((range, layer))
    }
}

struct Writer<'a> {
    title: &'a str,
    packages: &'a [Obtained<'a>],
    store: &'a Store,
    /// The layer's compressed bytes go in here,
    layer: Incoming,
    /// and what they hold in here.
    diff: sha2::Sha256,
    /// Segments that were compressed here, by their keys.
    made: Vec<(Sha256, Range)>,
}

impl Writer<'_> {
    fn io(&self) -> impl Fn(io::Error) -> LayerError + use<> {
        let title = self.title.to_owned();
        move |source| LayerError::Io { title: title.clone(), source }
    }

    fn segment(&mut self, segment: &Segment) -> Result<(), LayerError> {
        let Some(package) = segment.package.and_then(|package| self.packages.get(package)) else {
            return self.compress(segment, None);
        };
        let key = segment.key(|package| Some(self.packages.get(package)?.package.data.sha256));
        if let Some((range, layer)) = Range::recall(self.store, &key) {
            return self.copy(range, layer).map_err(self.io());
        }
        let offset = self.layer.size();
        self.compress(segment, Some(package))?;
        self.made.push((key, Range { offset, size: self.layer.size() - offset }));
        Ok(())
    }

    /// Appends a segment that was made before.
    fn copy(&mut self, Range { offset, size }: Range, mut layer: File) -> io::Result<()> {
        layer.seek(SeekFrom::Start(offset))?;
        let begin = self.layer.size();
        let compressed = Tap { inner: layer.take(size), seen: |bytes: &[u8]| self.layer.write_all(bytes) };
        let mut content = MultiGzDecoder::new(BufReader::with_capacity(1 << 16, compressed));
        io::copy(&mut content, &mut Hasher(&mut self.diff))?;
        if self.layer.size() - begin == size { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    /// Makes a segment and appends it.
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

    /// Ends the archive: nothing that comes after would be read.
    fn end(&mut self) -> Result<(), LayerError> {
        let io = self.io();
        let mut out = Uncompressed { diff: &mut self.diff, gzip: GzipMembers::new(&mut self.layer) };
        let mut end = Vec::new();
        tar::end(&mut end);
        out.write_all(&end).map_err(&io)?;
        out.gzip.finish().map(drop).map_err(&io)
    }
}

/// A package's data, read from front to back.
struct Data<'a> {
    package: &'a str,
    reader: DataReader<File>,
    /// How many entries have been read.
    read: usize,
}

impl<'a> Data<'a> {
    fn open(obtained: &'a Obtained<'_>) -> Result<Self, LockError> {
        Ok(Self { package: &obtained.package.file, reader: DataReader::new(obtained.data()?), read: 0 })
    }

    /// Goes on to the entry at `position`, which must be the file that `expected` describes.
    fn seek(&mut self, position: usize, expected: &tar::Entry) -> Result<(), LayerError> {
        let package = || self.package.to_owned();
        let mut found = None;
        while self.read <= position {
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

/// Writes a file's content, and zeros up to the next block.
fn pour(content: &mut impl Read, size: u64, out: &mut impl Write) -> io::Result<()> {
    if io::copy(&mut content.take(size), out)? != size {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let padding = size.next_multiple_of(tar::BLOCK as u64) - size;
    io::copy(&mut io::repeat(0).take(padding), out).map(drop)
}

/// Uncompressed bytes: hashed, then compressed.
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

/// Shows what is read to `seen`.
struct Tap<R, F> {
    inner: R,
    seen: F,
}

impl<R: Read, F: FnMut(&[u8]) -> io::Result<()>> Read for Tap<R, F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        (self.seen)(buffer.get(..read).unwrap_or_default())?;
        Ok(read)
    }
}

#[cfg(test)]
mod tests;
