//! Locks: exactly which packages make an image, down to the bytes.
//!
//! A lock is a text file, `apk-locks/<channel>/<image>.<arch>.lock`, made for review: sorted, one block a package, so
//! that a version bump is a few changed lines. `docs/lock.md` describes the format.
//!
//! Making one: an [`Offer`] is what a channel's repositories have now, verified; [`make`] solves, fetches, verifies and
//! reads the packages. Using one: [`obtain`] brings the packages into the store and checks them.

mod arrive;
mod change;
mod error;
mod file;
mod hold;
mod inspect;
mod keys;
mod make;
mod model;
mod obtain;
mod offer;
mod scripts;
mod sources;
mod text;

pub use change::{Change, changes};
pub use error::LockError;
pub use file::path;
pub use make::{Order, make};
pub use model::{Deb, Lock, LockedPackage, LockedRepository, Place, Script};
pub use obtain::{Obtained, obtain};
pub use offer::{Offer, Wanted, architecture};
pub use scripts::Unclassified;
pub use sources::{Sources, Surroundings, imported_repository};
pub use text::{ParseError, Problem};

pub use crate::apk::package::Member;
