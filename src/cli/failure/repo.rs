use super::{Exit, Failure, system_hint};
use crate::apk::index::IndexFileError;
use crate::apk::package::PackageError;
use crate::apk::signature::{KeyError, SignatureError};
use crate::repo::RepoError;

impl From<RepoError> for Failure {
    fn from(error: RepoError) -> Self {
        let error = match error {
            RepoError::Write(error) => return error.into(),
            error => error,
        };
        let failure = |exit| Self::new(exit, &error);
        match &error {
            RepoError::Read { source, .. } if source.kind() == std::io::ErrorKind::NotFound => failure(Exit::Missing),
            RepoError::Read { source, .. } => with_hint(failure(Exit::System), system_hint(source)),
            RepoError::Write(_) => failure(Exit::System),
            RepoError::Package { source, .. } => with_hint(failure(package_exit(source)), package_hint(source)),
            RepoError::Untrusted { source, .. } => with_hint(failure(Exit::Refused), signature_hint(source)),
            RepoError::Index { source: IndexFileError::Signature(source), .. } => {
                with_hint(failure(Exit::Refused), signature_hint(source))
            }
            RepoError::Key { source: KeyError::Name { .. }, .. } => failure(Exit::Usage),
            RepoError::TooLarge { .. } | RepoError::Index { .. } | RepoError::Key { .. } => failure(Exit::Refused),
            RepoError::NoKeys { .. } => failure(Exit::Missing).hint(
                "name the folder of the keys to trust with --keys-dir; Alpine's are in /etc/apk/keys of any Alpine system",
            ),
            RepoError::KeyExists { .. } => failure(Exit::Usage)
                .hint("what was signed with a lost key can't be signed again: choose another --name, or move it away"),
            RepoError::NoPackages { .. } => {
                failure(Exit::Missing).hint("name the folder of one architecture, such as REPOSITORY/x86_64")
            }
            RepoError::FileName { .. } => failure(Exit::Usage).hint("rename the file"),
            RepoError::Architecture { .. } => {
                failure(Exit::Usage).hint("keep the packages of each architecture in a folder of its own")
            }
            RepoError::NoArchitecture => failure(Exit::Usage).hint("say which with --arch, such as --arch x86_64"),
        }
    }
}

fn with_hint(failure: Failure, hint: Option<&str>) -> Failure {
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

fn package_exit(error: &PackageError) -> Exit {
    if matches!(error, PackageError::Read(_)) { Exit::System } else { Exit::Refused }
}

fn package_hint(error: &PackageError) -> Option<&'static str> {
    match error {
        PackageError::Gzip { .. } | PackageError::DataHash { .. } | PackageError::Trailing { .. } => {
            Some("the file was damaged or changed since it was made: get it anew from where it came from")
        }
        PackageError::NotAPackage => Some("packages are files that end with .apk, as repositories have them"),
        _ => None,
    }
}

fn signature_hint(error: &SignatureError) -> Option<&'static str> {
    match error {
        SignatureError::Unsigned => Some("sign it with `mailimg repo sign`, if it is yours"),
        SignatureError::UnknownKey { .. } => {
            Some("if that key is to be trusted, put its file into the folder named by --keys-dir")
        }
        SignatureError::Invalid { .. } => {
            Some("the file was damaged or changed, or the key file is another one of the same name")
        }
        _ => None,
    }
}
