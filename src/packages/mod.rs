//! The packages of a lock: fetched into the store, read and verified.

pub(crate) mod arrive;
pub(crate) mod download;
mod error;
mod gone;
pub(crate) mod inspect;
mod obtain;
pub(crate) mod obtained;
mod sources;

pub use download::Fetching;
pub use error::ObtainError;
pub use gone::Gone;
pub use obtain::{obtain, obtain_for};
pub use obtained::Obtained;
pub use sources::{Sources, Surroundings, imported_repository};
