//! Configuration, manifest, index, layout and archives of images.

mod archive;
mod artifact;
mod image;
mod images;
mod layout;
mod platform;
mod reference;
mod share;

pub use archive::{archive, archive_path, write_archive};
pub use artifact::{Artifact, ArtifactKind, ArtifactLayer, EMPTY_CONFIG};
pub use image::{Document, Image, ImageError, ImageSpec, MANIFEST};
pub use images::{Built, Images, ImagesError, NAME, read_image, read_image_at};
pub use layout::{Layout, LayoutError, blob_path};
pub use platform::Platform;
pub use reference::{local_reference, registry_reference, tag};
