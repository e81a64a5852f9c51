use std::fs::File;
use std::io::{self, BufReader, Read, Write};

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
    let digest = store.recall(key)?;
    let size = store.find(&digest)?.metadata().ok()?.len();
    let diff_id = store.recall(&diff_question(key))?;
    Some(Layer { digest, size, diff_id, title: title.to_owned() })
}

fn diff_question(key: &Sha256) -> Sha256 {
    Sha256::of(format!("what is the diff_id of the layer {key}?"))
}

/// Makes the layer `key` of its segments, hands it to the store and has it remembered. `packages` are the
/// image's, in install order.
///
/// A package's segment that was made before, for this layer or another, is not compressed again. Packages are read as
/// streams: memory doesn't grow with them.
pub fn write(
    title: &str,
    key: &Sha256,
    segments: &[Segment],
    packages: &[Obtained<'_>],
    keeper: &Keeper,
) -> Result<Layer, LayerError> {
    let failed = |source| LayerError::Store { title: title.to_owned(), source };
    let mut writer = Writer {
        title,
        packages,
        keeper,
        layer: keeper.store().incoming(LIMIT).map_err(failed)?,
        diff: sha2::Sha256::new(),
    };
    for segment in segments {
        writer.segment(segment)?;
    }
    writer.end()?;
    let diff_id = Sha256::from(<[u8; 32]>::from(writer.diff.finalize()));
    let (digest, size) = keeper.keep(writer.layer, None).map_err(failed)?;
    keeper.remember(&diff_question(key), &diff_id).map_err(failed)?;
    keeper.remember(key, &digest).map_err(failed)?;
    Ok(Layer { digest, size, diff_id, title: title.to_owned() })
}

struct Writer<'a> {
    title: &'a str,
    packages: &'a [Obtained<'a>],
    keeper: &'a Keeper,
    /// The layer's compressed bytes go in here,
    layer: Incoming,
    /// and what they hold in here.
    diff: sha2::Sha256,
}

impl Writer<'_> {
    fn io(&self) -> impl Fn(io::Error) -> LayerError + use<> {
        let title = self.title.to_owned();
        move |source| LayerError::Io { title: title.clone(), source }
    }

    fn store(&self) -> impl Fn(StoreError) -> LayerError + use<> {
        let title = self.title.to_owned();
        move |source| LayerError::Store { title: title.clone(), source }
    }

    fn segment(&mut self, segment: &Segment) -> Result<(), LayerError> {
        let Some(package) = segment.package.and_then(|package| self.packages.get(package)) else {
            return self.compress(segment, None, None).map(drop);
        };
        let key = segment.key(|package| Some(self.packages.get(package)?.package.data.sha256));
        let store = self.keeper.store();
        if let Some(file) = store.recall(&key).and_then(|digest| store.open_entry(&digest).ok()) {
            return self.copy(file).map_err(self.io());
        }
        let incoming = store.incoming(LIMIT).map_err(self.store())?;
        if let Some(made) = self.compress(segment, Some(package), Some(incoming))? {
            let (digest, _) = self.keeper.keep(made, None).map_err(self.store())?;
            self.keeper.remember(&key, &digest).map_err(self.store())?;
        }
        Ok(())
    }

    /// Appends a segment that was made before.
    fn copy(&mut self, segment: File) -> io::Result<()> {
        let compressed = Tap { inner: segment, seen: |bytes: &[u8]| to_io(self.layer.write(bytes)) };
        let mut content = MultiGzDecoder::new(BufReader::with_capacity(1 << 16, compressed));
        io::copy(&mut content, &mut Hasher(&mut self.diff)).map(drop)
    }

    /// Makes a segment, appends it, and writes it into `copy`, too, which is returned.
    fn compress(
        &mut self,
        segment: &Segment,
        package: Option<&Obtained<'_>>,
        copy: Option<Incoming>,
    ) -> Result<Option<Incoming>, LayerError> {
        let io = self.io();
        let mut data = package.map(Data::open).transpose()?;
        let gzip = GzipMembers::new(Both { layer: &mut self.layer, copy });
        let mut out = Uncompressed { diff: &mut self.diff, gzip };
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
        Ok(out.gzip.finish().map_err(&io)?.copy)
    }

    /// Ends the archive: nothing that comes after would be read.
    fn end(&mut self) -> Result<(), LayerError> {
        let io = self.io();
        let mut out =
            Uncompressed { diff: &mut self.diff, gzip: GzipMembers::new(Both { layer: &mut self.layer, copy: None }) };
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

fn to_io(result: Result<(), StoreError>) -> io::Result<()> {
    result.map_err(io::Error::other)
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

/// Compressed bytes: into the layer, and into the store as a segment.
struct Both<'a> {
    layer: &'a mut Incoming,
    copy: Option<Incoming>,
}

impl Write for Both<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        to_io(self.layer.write(buffer))?;
        if let Some(copy) = &mut self.copy {
            to_io(copy.write(buffer))?;
        }
        Ok(buffer.len())
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
