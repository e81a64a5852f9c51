//! From a channel's repositories to locks.
//!
//! An [`Offer`] is what the repositories have now, verified; [`make`] solves, fetches the packages and reads them.

mod hold;
mod keys;
mod make;
mod offer;
mod scripts;

pub use make::{Order, make};
pub use offer::{Offer, Wanted, architecture};
pub use scripts::Unclassified;
