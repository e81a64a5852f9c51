use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use super::gzip::GzipMembers;
use super::plan::{LayerPlan, Segment};
use crate::apk::package::{DataReader, PackageError};
use crate::apk::tar::{self, Entry, EntryKind};
use crate::digest::{Hashing, Sha256};
use crate::rootfs::{Node, NodeKind, Tree, TreePath};

/// A layer that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// SHA-256 of the compressed layer: its name as a blob.
    pub digest: Sha256,
    /// Compressed bytes.
    pub size: u64,
    /// SHA-256 of the uncompressed layer: its name in the image's configuration.
    pub diff_id: Sha256,
    /// What it is, for people.
    pub title: String,
}

/// Why a layer can't be written.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    /// The layer can't be written, or a package not be opened.
    #[error("writing the layer of {title} failed")]
    Io {
        /// What the layer is.
        title: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A package can't be read again.
    #[error("reading package {package} again failed")]
    Package {
        /// Position in install order.
        package: usize,
        /// Why.
        #[source]
        source: PackageError,
    },
    /// A package's file isn't what it was when the tree was made.
    #[error("package {package} has changed since the file tree was made: {path} is not there as it was")]
    Changed {
        /// Position in install order.
        package: usize,
        /// The file.
        path: TreePath,
    },
}

/// Writes one layer of `tree` to `out`, compressed. `open` gives a package's data member by its position in install order.
///
/// Packages are read as streams: memory doesn't grow with them.
pub fn write<R: Read, W: Write>(
    tree: &Tree,
    layer: &LayerPlan,
    open: impl Fn(usize) -> io::Result<R>,
    out: W,
) -> Result<Layer, LayerError> {
    let failed = |source| LayerError::Io { title: layer.title.clone(), source };
    let mut writer = Writer { tree, out: Hashing::new(GzipMembers::new(Hashing::new(out))) };
    for segment in &layer.segments {
        match segment {
            Segment::Directories(paths) | Segment::Image(paths) => writer.nodes(paths).map_err(failed)?,
            Segment::Package { package, files, others } => {
                writer.nodes(others).map_err(failed)?;
                let title = &layer.title;
                writer.package(title, *package, files, || open(*package))?;
            }
        }
        writer.out.get_mut().cut().map_err(failed)?;
    }
    let mut end = Vec::new();
    tar::end(&mut end);
    writer.out.write_all(&end).map_err(failed)?;
    let (diff_id, _, compressed) = writer.out.finish();
    let (digest, size, mut out) = compressed.finish().map_err(failed)?.finish();
    out.flush().map_err(failed)?;
    Ok(Layer { digest, size, diff_id, title: layer.title.clone() })
}

struct Writer<'a, W> {
    tree: &'a Tree,
    /// Uncompressed bytes go in here.
    out: Hashing<GzipMembers<W>>,
}

impl<W: Write> Writer<'_, W> {
    /// Writes what is wholly in the tree: directories, links, pipes, and files whose content is there.
    fn nodes(&mut self, paths: &[TreePath]) -> io::Result<()> {
        for (path, node) in paths.iter().filter_map(|path| Some((path, self.tree.get(path)?))) {
            self.out.write_all(&tar::header(&header(path, node)))?;
            if let Some(content) = node.inline() {
                self.content(&mut &content[..], content.len() as u64)?;
            }
        }
        Ok(())
    }

    /// Writes a package's files, in the order in which the package has them.
    fn package<R: Read>(
        &mut self,
        title: &str,
        package: usize,
        files: &BTreeMap<usize, Vec<TreePath>>,
        open: impl FnOnce() -> io::Result<R>,
    ) -> Result<(), LayerError> {
        let failed = |source| LayerError::Io { title: title.to_owned(), source };
        let refused = |source| LayerError::Package { package, source };
        let Some(last) = files.keys().next_back() else { return Ok(()) };
        let mut reader = DataReader::new(open().map_err(failed)?);
        for position in 0..=*last {
            let entry = reader.next_entry().map_err(refused)?;
            let Some((path, links)) = files.get(&position).and_then(|names| names.split_first()) else { continue };
            let changed = || LayerError::Changed { package, path: path.clone() };
            let node = self.tree.get(path).ok_or_else(changed)?;
            let NodeKind::File { size, .. } = node.kind else { return Err(changed()) };
            if entry.is_none_or(|entry| entry.kind != EntryKind::File || entry.size != size) {
                return Err(changed());
            }
            let written = self.out.write_all(&tar::header(&header(path, node)));
            written.and_then(|()| self.content(&mut reader.content(), size)).map_err(failed)?;
            for link in links {
                let mut entry = header(link, node);
                (entry.kind, entry.size) = (EntryKind::Hardlink(path.as_bytes().to_vec()), 0);
                self.out.write_all(&tar::header(&entry)).map_err(failed)?;
            }
        }
        // What is behind the last file is covered by the lock's digest of the package; it is not needed.
        Ok(())
    }

    /// Writes a file's content, and zeros up to the next block.
    fn content(&mut self, content: &mut impl Read, size: u64) -> io::Result<()> {
        if io::copy(&mut content.take(size), &mut self.out)? != size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let padding = size.next_multiple_of(tar::BLOCK as u64) - size;
        io::copy(&mut io::repeat(0).take(padding), &mut self.out).map(drop)
    }
}

/// A node's header. Owners are numbers alone: names would be looked up where the image is unpacked.
fn header(path: &TreePath, node: &Node) -> Entry {
    let (kind, size) = match &node.kind {
        NodeKind::Directory => (EntryKind::Directory, 0),
        NodeKind::File { size, .. } => (EntryKind::File, *size),
        NodeKind::Symlink(target) => (EntryKind::Symlink(target.clone()), 0),
        NodeKind::Fifo => (EntryKind::Fifo, 0),
    };
    Entry {
        uid: node.uid,
        gid: node.gid,
        user: String::new(),
        group: String::new(),
        size,
        mtime: node.mtime,
        xattrs: node.xattrs.clone(),
        ..Entry::new(path.as_bytes(), kind, node.mode)
    }
}

#[cfg(test)]
mod tests;
