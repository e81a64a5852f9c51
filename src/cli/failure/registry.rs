use super::{Exit, Failure};
use crate::registry::RegistryError;
use crate::store::StoreError;

impl From<RegistryError> for Failure {
    fn from(error: RegistryError) -> Self {
        let (exit, hint) = advice(&error);
        Self::new(exit, &error).hint(hint)
    }
}

/// The exit code, and what to do.
pub(super) fn advice(error: &RegistryError) -> (Exit, String) {
    match error {
        RegistryError::Name { name } if name.contains("://") => (
            Exit::Usage,
            "leave out the scheme, as in registry.example.org/mail; --plain-http is for a registry without TLS"
                .to_owned(),
        ),
        RegistryError::Name { .. } => (Exit::Usage, "for example registry.example.org/mail".to_owned()),
        RegistryError::Tag(_) => (Exit::Usage, "for example latest, or v1.2".to_owned()),
        RegistryError::Unreachable { .. } => {
            (Exit::Missing, "is the registry's name right, and does it answer? -v shows each attempt".to_owned())
        }
        RegistryError::Denied { repository, .. } => {
            let host = repository.split('/').next().unwrap_or_default();
            (Exit::Missing, format!("log in with `docker login {host}`, as somebody who may do that there"))
        }
        RegistryError::Missing { .. } => {
            (Exit::Missing, "`mailimg push` puts images and their packages there".to_owned())
        }
        RegistryError::Blob { source: StoreError::Io { .. }, .. } => {
            (Exit::System, "is there space left in the cache directory?".to_owned())
        }
        RegistryError::Blob { .. } => {
            (Exit::Refused, "it was changed on its way or in the registry; nothing of it was kept".to_owned())
        }
        RegistryError::Credentials { .. } => (Exit::Missing, "see credsStore in ~/.docker/config.json".to_owned()),
        RegistryError::Unexpected { .. } | RegistryError::Challenge { .. } | RegistryError::Stored { .. } => {
            (Exit::Refused, "is this a registry, and not something in between?".to_owned())
        }
        RegistryError::Read { .. } => (Exit::System, "build the images again: mailimg build".to_owned()),
    }
}
