use super::{Exit, Failure};
use crate::packages::ObtainError;

const GONE: &str = "if the repository has replaced them since they were locked, update the locks with `mailimg lock`, or \
                    fetch them with `--repository NAME=URL_OR_DIR` from a mirror that still has them. To keep packages \
                    available, push images once they are built: `mailimg push` stores their packages in the registry";

const FORBIDDEN: &str = "Some servers answer 403 for missing files, others if they require credentials";

impl From<ObtainError> for Failure {
    fn from(error: ObtainError) -> Self {
        let failure = |exit| Self::new(exit, &error);
        match error {
            ObtainError::Fetch(error) => error.into(),
            ObtainError::Store(error) => error.into(),
            ObtainError::Source(error) => error.into(),
            ObtainError::RegistryName { source } => source.into(),
            ObtainError::Registry { ref source, .. } => {
                let (exit, hint) = super::registry::advice(source);
                failure(exit).hint(hint)
            }
            ObtainError::UnknownRepository { .. } => failure(Exit::Usage),
            ObtainError::Gone { ref packages } => {
                let forbidden = packages.iter().any(|gone| gone.answer.status() == Some(403));
                failure(Exit::Missing).hint(if forbidden { format!("{GONE}. {FORBIDDEN}") } else { GONE.to_owned() })
            }
            ObtainError::NotImported { .. } => failure(Exit::Missing).hint(
                "`mailimg repo import-debian` gets the packages with this machine's apt, and `--repository debian=DIR` names \
                 a directory that has them",
            ),
            ObtainError::Stored { .. } => failure(Exit::System),
            ObtainError::Package { .. } => failure(Exit::Refused),
            ObtainError::Signature { .. } => failure(Exit::Refused).hint(super::resolve::UNTRUSTED),
            ObtainError::NotAsLocked { .. } => failure(Exit::Refused).hint(
                "the lock was edited, or belongs to other packages: restore the committed version, or create it again \
                 with `mailimg lock`",
            ),
        }
    }
}
