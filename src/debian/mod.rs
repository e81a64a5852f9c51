//! The Debian bridge: a signed apk repository out of Debian packages.
pub mod apt;
pub mod closure;
pub mod control;
pub mod convert;
pub mod deb;
pub mod elf;
mod error;
pub mod facts;
mod glob;
mod import;
mod license;
mod mapping;
pub mod version;

pub use apt::Source;
pub use error::ImportError;
pub use import::{Imported, Progress, Request, Stage, import};
pub use mapping::{FileRule, Made, Mapping, PackageRule};
