//! What is wrong with an archive.

use std::io;

use super::PathFault;

/// Why an archive can't be read.
#[derive(Debug, thiserror::Error)]
pub enum TarError {
    /// The underlying stream failed: the disk or the decompressor.
    #[error("can't read the archive")]
    Read(#[source] io::Error),
    /// The archive ends within a header or a file.
    #[error("the archive is cut off at byte {offset}")]
    Truncated { offset: u64 },
    /// A header's checksum doesn't match.
    #[error("damaged tar header at byte {offset}: its checksum does not match")]
    HeaderChecksum { offset: u64 },
    /// A header's field is malformed or out of range.
    #[error("invalid {field} in the tar header at byte {offset}")]
    Field { field: &'static str, offset: u64 },
    /// The PAX records are malformed.
    #[error("invalid PAX records at byte {offset}: {reason}")]
    Pax { offset: u64, reason: &'static str },
    /// A path that no package may have.
    #[error("the path {path:?} {fault}")]
    Path {
        /// The path, with what is not UTF-8 replaced.
        path: String,
        fault: PathFault,
    },
    /// A link target that no package may have.
    #[error("the link target of {path:?} {fault}")]
    Target { path: String, fault: PathFault },
    /// An entry of an unknown type.
    #[error("{path:?} has the unknown tar type {kind:?}")]
    Kind { path: String, kind: char },
    /// A link, directory or device with content.
    #[error("{path:?} is a {kind} but has content of {size} bytes")]
    UnexpectedContent { path: String, kind: &'static str, size: u64 },
    /// The map of a sparse file is malformed.
    #[error("{path:?} has an invalid sparse map: {reason}")]
    Sparse { path: String, reason: &'static str },
    /// There is something after the end-of-archive blocks, which only some readers would see.
    #[error("content after the end of the archive, at byte {offset}")]
    AfterEnd { offset: u64 },
    /// The archive exceeds a limit.
    #[error("the archive exceeds the limit of {limit} {what}")]
    Limit { what: &'static str, limit: u64 },
}
