use super::{Exit, Failure};
use crate::packages::ObtainError;

impl From<ObtainError> for Failure {
    fn from(error: ObtainError) -> Self {
        let failure = |exit| Self::new(exit, &error);
        match error {
            ObtainError::Fetch(error) => error.into(),
            ObtainError::Store(error) => error.into(),
            ObtainError::Source(error) => error.into(),
            ObtainError::Registry { ref source, .. } => {
                let (exit, hint) = super::registry::advice(source);
                failure(exit).hint(hint)
            }
            ObtainError::UnknownRepository { .. } => failure(Exit::Usage),
            ObtainError::Gone { .. } => failure(Exit::Missing).hint(
                "if the repository has replaced the package since it was locked, lock anew with `mailimg lock`. To be \
                 able to get it next time, push images when they are built: `mailimg push` keeps their packages in the \
                 registry",
            ),
            ObtainError::NotImported { .. } => failure(Exit::Missing).hint(
                "make it with `mailimg repo import-debian --suite trixie --out DIR`, or name one that is already made \
                 with `--repository debian=DIR`",
            ),
            ObtainError::Stored { .. } => failure(Exit::System),
            ObtainError::Package { .. } => failure(Exit::Refused),
            ObtainError::Signature { .. } => failure(Exit::Refused).hint(super::resolve::UNTRUSTED),
            ObtainError::NotAsLocked { .. } => failure(Exit::Refused).hint(
                "the lock was edited, or belongs to other packages: take the committed version, or lock anew with \
                 `mailimg lock`",
            ),
        }
    }
}
