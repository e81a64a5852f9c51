use std::io;

use super::InfoError;
use crate::apk::signature::SignatureError;
use crate::apk::tar::TarError;
use crate::digest::Sha256;

/// Why a package is rejected.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// Format v3.
    #[error(
        "this is a package of format v3 (ADB, made by apk-tools 3); mailimg reads format v2, which Alpine publishes"
    )]
    FormatV3,
    /// Not a package at all.
    #[error("this is not a package: it doesn't start with a gzip member")]
    NotAPackage,
    /// It is a web page.
    #[error("this is not a gzip file but looks like HTML: a proxy or login page may have answered")]
    Html,
    /// The file could not be read.
    #[error("can't read the package")]
    Read(#[source] io::Error),
    /// The data member's copy could not be written.
    #[error("can't copy the data member")]
    Copy(#[source] io::Error),
    /// A gzip member is damaged or cut off.
    #[error("the {member} member is damaged")]
    Gzip { member: &'static str, source: io::Error },
    /// A tar archive is malformed.
    #[error("the {member} member was rejected")]
    Tar { member: &'static str, source: TarError },
    /// A member is larger than any real one, or expands to more.
    #[error("the {member} member is larger than {limit} bytes")]
    TooLarge { member: &'static str, limit: u64 },
    /// The control member contains an unexpected file.
    #[error("unexpected {path:?} in the {member} member")]
    Unexpected { member: &'static str, path: String },
    /// Control lacks `.PKGINFO`.
    #[error("the control member has no .PKGINFO")]
    NoInfo,
    /// The signature member is malformed.
    #[error("the signature member was rejected")]
    Signature(#[source] SignatureError),
    /// `.PKGINFO` can't be read.
    #[error("invalid .PKGINFO")]
    Info(#[from] InfoError),
    /// The file ends after control.
    #[error("the package has no data member")]
    NoData,
    /// There is something after the last gzip stream.
    #[error("something other than gzip follows the data, at byte {offset}")]
    Trailing { offset: u64 },
    /// The data member doesn't match the control member.
    #[error("the data member is not the one that was signed: .PKGINFO says SHA-256 {expected}, found {found}")]
    DataHash { expected: Sha256, found: Sha256 },
}

impl PackageError {
    /// From an error of a decompressor: either the bytes or their source is at fault.
    pub(super) fn from_io(member: &'static str, error: io::Error) -> Self {
        if error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<Self>) {
            let kind = error.kind();
            return match error.into_inner().map(<dyn std::error::Error + Send + Sync>::downcast::<Self>) {
                Some(Ok(own)) => *own,
                _ => Self::Read(kind.into()),
            };
        }
        match error.kind() {
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
                Self::Gzip { member, source: error }
            }
            _ => Self::Read(error),
        }
    }

    pub(super) fn from_tar(member: &'static str, error: TarError) -> Self {
        match error {
            TarError::Read(error) => Self::from_io(member, error),
            source => Self::Tar { member, source },
        }
    }

    /// Wraps it, to pass it through a reader.
    pub(super) fn into_io(self) -> io::Error {
        io::Error::other(self)
    }
}
