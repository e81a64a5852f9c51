//! The Debian bridge: converts Debian packages into a signed apk repository.

mod apt;
mod closure;
mod control;
mod convert;
mod deb;
mod describe;
mod elf;
mod error;
mod facts;
mod glob;
mod import;
mod license;
mod mapping;
mod tree;
mod version;

pub use apt::Source;
pub use error::ImportError;
pub use import::{Imported, Request, import};
pub use mapping::{FileRule, Made, Mapping, PackageRule};
