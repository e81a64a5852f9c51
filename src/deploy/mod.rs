//! Brings a site up on this machine, and says how far it is: what is configured becomes images, a compose file and
//! containers, and each may be behind the one before it.

mod error;
mod next;
mod secrets;
mod status;
mod up;
mod wait;

pub use error::DeployError;
pub use next::{Next, next};
pub use status::{ServiceStatus, Stale, Status, status};
pub use up::{Change, Event, Order, Up, up};
