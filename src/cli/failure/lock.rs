use super::{Exit, Failure};
use crate::lock::{LockError, ParseError, Problem};

impl From<LockError> for Failure {
    fn from(error: LockError) -> Self {
        let error = match error {
            LockError::Read(error) => return error.into(),
            other => other,
        };
        let failure = |exit| Self::new(exit, &error);
        match &error {
            LockError::Missing { .. } => {
                failure(Exit::Missing).hint("create it with `mailimg lock`, then review and commit it")
            }
            LockError::Read(_) => failure(Exit::System),
            LockError::Parse { source: ParseError { problem: Problem::LineEnd, .. }, .. } => failure(Exit::Usage).hint(
                "git or an editor has converted the line ends, perhaps also in files that go into images. Put `* \
                 -text` \
                 into .gitattributes, as `mailimg init` does, and check the files out again",
            ),
            LockError::Parse { .. } => failure(Exit::Usage)
                .hint("restore the committed version, or create it again with `mailimg lock`; don't edit locks"),
        }
    }
}
