use super::{Exit, Failure};
use crate::lock::LockError;

impl From<LockError> for Failure {
    fn from(error: LockError) -> Self {
        let failure = |exit| Self::new(exit, &error);
        match &error {
            LockError::Missing { .. } => {
                failure(Exit::Missing).hint("make it with `mailimg lock`, review it and commit it")
            }
            LockError::Read { .. } => failure(Exit::System),
            LockError::Parse { .. } => failure(Exit::Usage)
                .hint("take the committed version, or make it anew with `mailimg lock`; locks are not for editing"),
        }
    }
}
