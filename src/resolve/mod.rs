//! From a channel's repositories to locks.
//!
//! [`lock`] makes the locks of a project: an offer is what the channel's repositories have now, verified; each image is
//! solved, and its packages are fetched and read. [`Repositories`] are those given one by one, without a channel.

mod error;
mod hold;
mod index;
mod keys;
mod make;
mod offer;
mod regress;
mod relock;
mod repositories;
mod scripts;
mod wanted;

pub use error::{Regression, ResolveError};
pub use relock::{Outcome, Task, all_changes, lock};
pub use repositories::Repositories;
pub use scripts::Unclassified;
pub use wanted::Wanted;
