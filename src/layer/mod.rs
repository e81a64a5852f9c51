//! Splits the tree of an image into layers.
//!
//! [`Plan`] decides from the locks which packages share a layer. [`drafts`] decides from an image's tree what each of
//! its layers contains, without touching a file. [`write()`] makes a layer's bytes.
//!
//! A layer with a single package is *verbatim*, the package's unchanged data member, where that is safe
//! ([`NotVerbatim`] lists the conditions). Any other layer is a concatenation of *segments*, each a run of gzip
//! members: the directories, then a segment per package, then the end of the archive. The position of each package's
//! segment in a layer is remembered, so that nothing unchanged is compressed twice. The *top layer* contains everything
//! that belongs to the image itself.

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

/// The version of the rules that turn inputs into bytes, and itself one of an image's inputs. Raised whenever the same
/// inputs give different bytes.
///
/// 1: two layers, gzip members of 1 MiB by libdeflater 1.26 at level 6.
/// 2: data members as layers; segments; one top layer.
/// 3: level 1; fewer small classes are dissolved.
pub const ASSEMBLY_VERSION: u32 = 3;

/// A written layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// The SHA-256 of the compressed layer, which names the blob.
    pub digest: Sha256,
    /// Compressed bytes.
    pub size: u64,
    /// The SHA-256 of the uncompressed layer, used in the image's configuration.
    pub diff_id: Sha256,
    /// A description for people.
    pub title: String,
}
