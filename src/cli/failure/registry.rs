use super::{Exit, Failure};
use crate::http::HttpError;
use crate::push::PushError;
use crate::registry::RegistryError;
use crate::store::StoreError;

impl From<RegistryError> for Failure {
    fn from(error: RegistryError) -> Self {
        let (exit, hint) = advice(&error);
        Self::new(exit, &error).hint(hint)
    }
}

impl From<PushError> for Failure {
    fn from(error: PushError) -> Self {
        match error {
            PushError::Images(error) => error.into(),
            PushError::Registry(error) => error.into(),
        }
    }
}

/// The exit code and the hint.
pub(super) fn advice(error: &RegistryError) -> (Exit, String) {
    match error {
        RegistryError::Name { name } if name.contains('@') => (
            Exit::Usage,
            "leave out what is before and after the @: credentials come from `docker login`, and the digest from the \
             image"
                .to_owned(),
        ),
        RegistryError::Name { name } if name.contains("://") => (
            Exit::Usage,
            "leave out the scheme, as in registry.example.org/mail; --plain-http is for a registry without TLS"
                .to_owned(),
        ),
        RegistryError::Name { .. } => (Exit::Usage, "for example registry.example.org/mail".to_owned()),
        RegistryError::Tag(_) => (Exit::Usage, "for example latest, or v1.2".to_owned()),
        RegistryError::Unreachable { source, .. } => (Exit::Missing, unreachable(source).to_owned()),
        RegistryError::Denied { repository, logged_in, .. } => {
            let host = repository.split('/').next().unwrap_or_default();
            let who = if *logged_in { "as a user with access" } else { "first" };
            (Exit::Missing, format!("log in with `docker login {host}` or `podman login {host}` {who}"))
        }
        RegistryError::Missing { .. } => {
            (Exit::Missing, "push images and their packages with `mailimg push`".to_owned())
        }
        RegistryError::Blob { source: StoreError::Io { .. }, .. } => {
            (Exit::System, "check the free space in the cache directory".to_owned())
        }
        RegistryError::Blob { .. } => {
            (Exit::Refused, "it was changed in transit or in the registry; nothing was kept".to_owned())
        }
        RegistryError::Unexpected { .. } | RegistryError::Challenge { .. } | RegistryError::Stored { .. } => {
            (Exit::Refused, "check that a registry gave this answer, not a proxy in between".to_owned())
        }
        RegistryError::Read { .. } => (
            Exit::System,
            "if it was changed or replaced, delete it, run `mailimg store verify --remove`, and build the images again with \
             `mailimg build`"
                .to_owned(),
        ),
    }
}

fn unreachable(error: &HttpError) -> &'static str {
    if error.is_not_tls() {
        "the registry doesn't speak TLS: pass --plain-http, or set registry.plain-http in mailimg.toml"
    } else if error.is_untrusted() {
        "add the authority that signed the registry's certificate to this machine's trusted ones, or name its file in \
         SSL_CERT_FILE"
    } else {
        "check the registry's name and the proxy settings (HTTPS_PROXY, NO_PROXY); -v shows each attempt. A registry \
         without TLS needs --plain-http or registry.plain-http in mailimg.toml"
    }
}
