//! Alpine packages, format v2: names, dependencies, layout and signatures.
//!
//! Pure: nothing here opens a file or socket. Readers take any [`std::io::Read`].
//!
//! Sources of the formats: the Alpine wiki's "Apk spec", apk-tools' manual pages `apk-package(5)`, `apk-index(5)` and
//! `apk-world(5)`, and the behaviour of apk 2.14 on real repositories.

mod checksum;
mod deb;
mod dependency;
mod excerpt;
mod gzip;
pub mod index;
pub mod installed;
mod metadata;
pub mod package;
pub mod signature;
pub mod tar;
mod version;

pub use checksum::{Checksum, ChecksumError};
pub use deb::DebSource;
pub use dependency::{Constraint, Dependency, DependencyError, Op, Provide};
pub use metadata::Package;
pub use signature::{Keyring, SigningKey};
pub use version::{Version, VersionError};

use excerpt::excerpt;
