//! A tree → the layers of an image.
//!
//! [`plan`] decides which path goes into which layer, without touching a file; [`write()`] makes one layer's bytes.
//! A layer is a concatenation of *segments*, each a run of gzip members of its own: the directories, then a segment for
//! each package, then what the image itself adds, then the end of the archive. A segment's bytes depend on what is in
//! it and on nothing else, so that it can be kept and used again.

mod gzip;
mod plan;
mod write;

pub use plan::{LayerPlan, Plan, Segment, plan};
pub use write::{Layer, LayerError, write};

/// Which bytes the same input gives. Part of an image's inputs; raised whenever they change.
///
/// 1: two layers, gzip members of 1 MiB by libdeflater 1.26 at level 6.
pub const ASSEMBLY_VERSION: u32 = 1;
