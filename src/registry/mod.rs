//! A client for OCI registries: pushes the blobs and manifests of images, and pulls blobs into the store.
//!
//! Source: OCI distribution-spec 1.1 and, for tokens, the Docker registry's token authentication.

mod auth;
mod client;
mod error;
mod helper;
mod keychain;
mod manifest;
mod push;
mod repository;
mod session;
mod tag;
mod upload;

pub use client::Client;
pub use error::RegistryError;
pub use push::{Blob, Push};
pub use repository::{Prefix, Repository};
pub use tag::{Tag, TagError};

#[cfg(test)]
mod tests;
