use std::process::ExitCode;

/// What the exit code says. Part of the interface: scripts depend on the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// The question asked was answered with no: a lock is out of date, an image does not verify.
    No = 1,
    /// Bad arguments, or an error in a file that the user wrote.
    Usage = 2,
    /// Something from outside was refused: bad signature, wrong hash, hostile or malformed content.
    Refused = 3,
    /// Something needed is not there: package, repository, registry, engine, network.
    Missing = 4,
    /// The requested packages can't be installed together.
    Unsolvable = 5,
    /// The machine failed: disk full, no permission, input or output error.
    System = 6,
}

/// The exit codes as `--help` shows them.
pub(super) const HELP: &str = "\
Exit codes: 0 done, 1 the answer is no, 2 bad arguments or configuration, 3 input refused (signature, hash, hostile \
content), 4 something needed is missing (package, network, engine), 5 no solution, 6 system error (disk, permission)";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
