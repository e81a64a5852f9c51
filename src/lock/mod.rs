//! Locks: exactly which packages make an image, down to the bytes.
//!
//! A lock is a text file, `apk-locks/<channel>/<image>.<arch>.lock`, made for review: sorted, one block a package, so
//! that a version bump is a few changed lines. `docs/lock.md` describes the format.

mod model;
mod text;

pub use model::{Deb, Lock, LockedPackage, LockedRepository, Member, Place, Script};
pub use text::{ParseError, Problem};
