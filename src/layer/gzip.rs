use std::io::{self, Write};
use std::mem;

use libdeflater::{CompressionLvl, Compressor};
use rayon::prelude::*;

/// Bytes of content in one gzip member. Small enough to keep all processors busy, large enough to compress well.
const BLOCK: usize = 1 << 20;
/// Members that are compressed at once. Bounds memory; decides no byte.
const BATCH: usize = 8;
/// Decides output bytes: part of the assembly version.
const LEVEL: i32 = 6;

/// Compresses what is written to it into gzip members that don't depend on each other, on as many threads as there are.
///
/// The number of threads decides no byte: a member begins after each [`BLOCK`] and at each [`cut`](Self::cut).
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

    /// Begins a new member, whatever the last one holds.
    pub(super) fn cut(&mut self) -> io::Result<()> {
        if self.blocks.last().is_some_and(|block| !block.is_empty()) {
            self.begin_block()?;
        }
        Ok(())
    }

    /// Writes what is left and returns what was written to.
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

/// One gzip member: no name, no time.
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

    fn compress(threads: usize, parts: &[&[u8]]) -> Vec<u8> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut gzip = GzipMembers::new(Vec::new());
            for part in parts {
                gzip.write_all(part).unwrap();
                gzip.cut().unwrap();
            }
            gzip.finish().unwrap()
        })
    }

    #[test]
    fn threads_decide_no_byte_and_all_comes_back() {
        let big: Vec<u8> = (0..20 * BLOCK + 77).map(|i| u8::try_from(i * i / 7 % 251).unwrap()).collect();
        let one = compress(1, &[b"first", &big]);
        assert_eq!(one, compress(8, &[b"first", &big]));
        let mut back = Vec::new();
        flate2::read::MultiGzDecoder::new(one.as_slice()).read_to_end(&mut back).unwrap();
        assert!(back == [b"first", big.as_slice()].concat());
    }

    #[test]
    fn a_part_is_the_same_wherever_it_stands() {
        let (alone, behind) = (compress(1, &[b"part"]), compress(1, &[b"other", b"part"]));
        assert!(behind.ends_with(&alone) && behind.len() > alone.len());
    }
}
