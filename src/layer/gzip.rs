use std::io::{self, Write};
use std::mem;

use libdeflater::{CompressionLvl, Compressor};
use rayon::prelude::*;

/// The uncompressed size of a gzip member, in bytes: small enough to keep all processors busy, large enough to compress
/// well.
const BLOCK: usize = 1 << 20;
/// How many members are compressed at once. This bounds memory and doesn't affect the bytes.
const BATCH: usize = 4;
/// Determines output bytes, so it is part of the assembly version. A fifth of the four images' bytes is compressed here
/// while the first build waits: level 1 takes half the time of level 6 for 1.5 % more bytes in total.
const LEVEL: i32 = 1;

/// Compresses its input into independent gzip members, using all threads.
///
/// The bytes don't depend on the number of threads: a member starts after each [`BLOCK`] and at each
/// [`cut`](Self::cut).
#[derive(Debug)]
pub(super) struct GzipMembers<W> {
    inner: W,
    /// Full blocks, then the one being filled.
    blocks: Vec<Vec<u8>>,
}

impl<W: Write> GzipMembers<W> {
    pub(super) fn new(inner: W) -> Self {
        Self { inner, blocks: Vec::new() }
    }

    /// Writes the rest and returns the inner writer.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.compress()?;
        Ok(self.inner)
    }

    fn begin_block(&mut self) -> io::Result<()> {
        if self.blocks.len() >= BATCH {
            self.compress()?;
        }
        self.blocks.push(Vec::new());
        Ok(())
    }

    fn compress(&mut self) -> io::Result<()> {
        let mut blocks = mem::take(&mut self.blocks);
        blocks.retain(|block| !block.is_empty());
        let members: Vec<Vec<u8>> = blocks.par_iter().map(|block| member(block)).collect::<io::Result<_>>()?;
        members.iter().try_for_each(|member| self.inner.write_all(member))
    }
}

impl<W: Write> Write for GzipMembers<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        if self.blocks.last().is_none_or(|block| block.len() >= BLOCK) {
            self.begin_block()?;
        }
        let Some(block) = self.blocks.last_mut() else { return Ok(0) };
        let room = buffer.len().min(BLOCK - block.len());
        block.extend_from_slice(buffer.get(..room).unwrap_or_default());
        Ok(room)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A gzip member without name and time.
fn member(block: &[u8]) -> io::Result<Vec<u8>> {
    let level = CompressionLvl::new(LEVEL).map_err(|_| io::Error::other("libdeflate lacks the compression level"))?;
    let mut compressor = Compressor::new(level);
    let mut out = vec![0; compressor.gzip_compress_bound(block.len())];
    let size = compressor.gzip_compress(block, &mut out).map_err(io::Error::other)?;
    out.truncate(size);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn compress(threads: usize, content: &[u8]) -> Vec<u8> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut gzip = GzipMembers::new(Vec::new());
            gzip.write_all(content).unwrap();
            gzip.finish().unwrap()
        })
    }

    #[test]
    fn threads_decide_no_byte_and_all_comes_back() {
        let content: Vec<u8> = (0..20 * BLOCK + 77).map(|i| u8::try_from(i * i / 7 % 251).unwrap()).collect();
        let one = compress(1, &content);
        assert_eq!(one, compress(8, &content));
        let mut back = Vec::new();
        flate2::read::MultiGzDecoder::new(one.as_slice()).read_to_end(&mut back).unwrap();
        assert!(back == content);
        assert!(compress(1, b"").is_empty());
    }
}
