//! Configuration, manifest, index, layout and archives of images.

mod archive;
mod image;
mod images;
mod layout;
mod packages;
mod reference;
mod share;

pub use archive::archive;
pub use image::{Document, Image, ImageError, ImageSpec, MANIFEST, Platform};
pub use images::{ImagesError, NAME, images, read_image, read_image_at};
pub use layout::{Layout, LayoutError, UNFINISHED, blob_path};
pub use packages::{EMPTY_CONFIG, PackageMember, blobs_of, packages_manifest, packages_tag};
pub use reference::{local_reference, registry_reference, tag};
