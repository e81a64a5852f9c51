//! Where bytes come from: repositories over http(s) or in a directory. Everything is hashed on its way into the store
//! and checked against what is known about it.

mod client;
mod credentials;
mod error;
mod netrc;
mod source;

pub use client::{Client, Fetched, Request, Settings, Size};
pub use error::FetchError;
pub use source::{Location, Source, SourceError};
