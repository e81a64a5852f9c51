//! The packages of a lock: fetched into the store, read and verified.

pub(crate) mod arrive;
mod error;
pub(crate) mod inspect;
pub(crate) mod obtain;
mod sources;

pub use error::ObtainError;
pub use obtain::{Obtained, obtain};
pub use sources::{Sources, Surroundings, imported_repository};
