//! Configuration, manifest, index, layout and archives of images.

mod reference;

pub use reference::{local_reference, registry_reference};
