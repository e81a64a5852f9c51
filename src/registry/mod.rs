//! A client of OCI registries: pushes images' blobs and manifests, and pulls blobs into the store.
//!
//! Source of the protocol: OCI distribution-spec 1.1 and, for tokens, the Docker registry's token authentication.

mod auth;
mod client;
mod error;
mod helper;
mod keychain;
mod push;
mod repository;
mod tag;
mod upload;

pub use client::Client;
pub use error::RegistryError;
pub use push::{Blob, Push};
pub use repository::{Prefix, Repository};
pub use tag::{Tag, TagError};

#[cfg(test)]
mod tests;
