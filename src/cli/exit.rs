use std::process::ExitCode;

/// The exit codes. Scripts depend on the numbers, so they are part of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// A negative answer: a lock is out of date, an image doesn't verify.
    No = 1,
    /// Wrong arguments, or an error in a file that the user wrote.
    Usage = 2,
    /// Input was rejected: bad signature, wrong hash, hostile or malformed content.
    Refused = 3,
    /// Something is missing: package, repository, registry, engine, network.
    Missing = 4,
    /// The requested packages can't be installed together.
    Unsolvable = 5,
    /// The system failed: disk full, no permission, I/O error.
    System = 6,
}

/// The exit codes in `--help`.
pub(super) const HELP: &str = "\
Exit codes: 0 success, 1 negative answer (such as an outdated lock), 2 wrong arguments or configuration, 3 untrusted \
or malformed input (signature, hash, hostile content), 4 something is missing (package, network, engine), 5 no \
solution, 6 system error (disk, permissions)";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
