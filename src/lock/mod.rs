//! The lock format: exactly which packages make an image, down to the bytes.
//!
//! A lock is a text file, `apk-locks/<channel>/<image>.<arch>.lock`, made for review: sorted, one block per package, so
//! that a version bump is a few changed lines. `docs/lock.md` describes the format.
//!
//! `resolve` makes locks, `packages` fetches what they pin.

mod change;
mod error;
mod file;
mod model;
mod text;

pub use change::{Change, across, changes};
pub use error::LockError;
pub use file::path;
pub use model::{Deb, Edition, Lock, LockedPackage, LockedRepository, Place, Script};
pub use text::{ParseError, Problem};

pub use crate::apk::package::Member;
