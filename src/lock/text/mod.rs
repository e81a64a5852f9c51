//! The text of a lock, written in exactly one way and read strictly.

mod parse;
mod write;

pub use parse::{ParseError, Problem};

/// The format's version, on the first line. Raised when an older mailimg would misread a lock.
///
/// 1: the first.
const VERSION: &str = "1";

/// The comment at the start of a lock.
const HEADER: &str = "\
# Written by `mailimg lock`, which also updates it. Not for editing: every line is checked against what is fetched.
";

#[cfg(test)]
pub(super) mod tests;
