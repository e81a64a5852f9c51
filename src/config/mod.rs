//! What people write: the site's `mailimg.toml`, recipes, channels, and the files to bake.
//!
//! Every error here names the file, the line and the key.

mod channel;
mod recipe;
mod site;

pub use channel::{Channel, Import, Repository};
pub use recipe::{Directory, FileRule, Group, Healthcheck, ImageConfig, Link, Recipe, RecipeChannel, Service, User};
pub use site::{Antivirus, Dkim, Dmarc, Limits, Registry, Site, Smtp, Tls};
