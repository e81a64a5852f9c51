//! The merged file tree of an image, as data: nothing is ever unpacked on the host.
//!
//! [`merge`] merges packages by apk's rules; [`assemble`] adds what the recipe declares and what replaces packages'
//! scripts.

mod accounts;
mod assemble;
mod database;
mod error;
mod merge;
mod scripts;
mod start;
mod tree;

pub use crate::apk::package::{EntryId, PackageEntry, PackageFiles, READ_LIMIT, is_read};
pub use crate::path::{PathError, TreePath};
pub use accounts::Accounts;
pub use assemble::{Additions, ApkState, as_installed, assemble};
pub use error::RootfsError;
pub use merge::{Merged, MergedPackage, Owned, OwnedPath, agreed, merge};
pub use start::check_start;
pub use tree::{Bearer, Content, Node, NodeKind, PackageId, Source, Tree};
