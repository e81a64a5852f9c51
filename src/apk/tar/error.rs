//! What is wrong with an archive.

use std::io;

use super::PathFault;

/// Why an archive can't be read.
#[derive(Debug, thiserror::Error)]
pub enum TarError {
    /// The stream below failed: the disk, or the decompressor.
    #[error("reading the archive failed")]
    Read(#[source] io::Error),
    /// The archive ends within a header or a file.
    #[error("the archive is cut off at byte {offset}")]
    Truncated {
        /// Bytes that could be read.
        offset: u64,
    },
    /// A header's checksum does not fit it.
    #[error("damaged tar header at byte {offset}: its checksum does not match")]
    HeaderChecksum {
        /// Where the header begins.
        offset: u64,
    },
    /// A header's field is malformed or out of range.
    #[error("bad {field} in the tar header at byte {offset}")]
    Field {
        /// Which field.
        field: &'static str,
        /// Where the header begins.
        offset: u64,
    },
    /// PAX records are malformed.
    #[error("bad PAX records at byte {offset}: {reason}")]
    Pax {
        /// Where their header begins.
        offset: u64,
        /// What is wrong with them.
        reason: &'static str,
    },
    /// A path that no package may have.
    #[error("the path {path:?} {fault}")]
    Path {
        /// The path, with what is not UTF-8 replaced.
        path: String,
        /// What is wrong with it.
        fault: PathFault,
    },
    /// A link target that no package may have.
    #[error("the link target of {path:?} {fault}")]
    Target {
        /// Path of the link.
        path: String,
        /// What is wrong with the target.
        fault: PathFault,
    },
    /// An entry of a type that packages don't have.
    #[error("{path:?} has the unknown tar type {kind:?}")]
    Kind {
        /// Its path.
        path: String,
        /// The header's type character.
        kind: char,
    },
    /// A link, directory or device with content.
    #[error("{path:?} is a {kind} but has content of {size} bytes")]
    UnexpectedContent {
        /// Its path.
        path: String,
        /// What it is.
        kind: &'static str,
        /// Its size as declared.
        size: u64,
    },
    /// The map of a sparse file is malformed.
    #[error("{path:?} has a bad sparse map: {reason}")]
    Sparse {
        /// Its path.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Something after the end-of-archive blocks, which readers would see or not by their make.
    #[error("content after the end of the archive, at byte {offset}")]
    AfterEnd {
        /// Where it is.
        offset: u64,
    },
    /// A bound on hostile archives.
    #[error("too much in one archive: {what} beyond the limit of {limit}")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// How much is allowed.
        limit: u64,
    },
}
