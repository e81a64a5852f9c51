//! Configuration, manifest, index, layout and archives of images.

mod images;
mod reference;

pub use images::{ImagesError, NAME, images};
pub use reference::{local_reference, registry_reference};
