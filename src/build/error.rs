use crate::config::ConfigError;
use crate::layer::LayerError;
use crate::lock::LockError;
use crate::oci::ImageError;
use crate::packages::ObtainError;
use crate::resolve::ResolveError;
use crate::rootfs::RootfsError;
use crate::store::StoreError;

/// Why an image can't be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The recipe or a baked file is invalid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A lock can't be read.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// What a recipe requests is invalid.
    #[error(transparent)]
    Wanted(#[from] ResolveError),
    /// A lock was made for another state of the recipe.
    #[error("the lock of {image} is out of date: its recipe's world or accounts have changed")]
    OutOfDate { image: String },
    /// A package can't be fetched or read.
    #[error(transparent)]
    Packages(#[from] ObtainError),
    /// Packages and recipe don't fit together.
    #[error(transparent)]
    Rootfs(#[from] RootfsError),
    /// A layer can't be written.
    #[error(transparent)]
    Layer(#[from] LayerError),
    /// The store can't take an image's description.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The image can't be described.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The image's inputs can't be written as JSON.
    #[error("can't write the image's inputs as JSON")]
    Json(#[from] serde_json::Error),
}
