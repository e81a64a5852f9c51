//! A tree → the layers of an image.
//!
//! [`Plan`] decides which packages share a layer, from the locks alone. [`drafts`] decides what is in each layer of one
//! image, from its tree, without touching a file. [`write()`] makes a layer's bytes.
//!
//! A layer of one package is the package's data member as it is, where that is safe ([`NotVerbatim`] has the conditions).
//! Any other layer is a concatenation of *segments*, each a run of gzip members of its own: the directories, then a
//! segment for each package, then the end of the archive. Where a package's segment lies in a layer is remembered, so that
//! nothing unchanged is compressed twice. On top is one layer with all that is the image's own.

mod draft;
#[cfg(test)]
mod fixture;
mod gzip;
mod plan;
mod verbatim;
mod write;

pub use draft::{Draft, DraftContent, Item, ItemContent, Segment, drafts};
pub use plan::{Group, Packed, Plan};
pub use verbatim::NotVerbatim;
pub use write::{LayerError, recall, write};

use crate::digest::Sha256;

/// Which bytes the same input gives. Part of an image's inputs; raised whenever they change.
///
/// 1: two layers, gzip members of 1 MiB by libdeflater 1.26 at level 6.
/// 2: data members as layers; segments; one top layer.
/// 3: level 1; fewer small classes are dissolved.
pub const ASSEMBLY_VERSION: u32 = 3;

/// A layer whose bytes are known.
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
