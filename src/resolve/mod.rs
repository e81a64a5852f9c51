//! From a channel's repositories to locks.
//!
//! An [`Offer`] is what the repositories have now, verified; [`make`] solves, fetches the packages and reads them.

mod error;
mod hold;
mod index;
mod keys;
mod make;
mod offer;
mod regress;
mod scripts;
mod wanted;

pub use error::{Regression, ResolveError};
pub use make::{Order, make};
pub use offer::Offer;
pub use regress::refuse_going_back;
pub use scripts::Unclassified;
pub use wanted::Wanted;
