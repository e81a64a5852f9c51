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
                "name the directory with the keys to trust with --keys-dir; every Alpine system has Alpine's keys in \
                 /etc/apk/keys",
            ),
            RepoError::KeyExists { .. } => {
                failure(Exit::Usage).hint("a lost key can't be recreated: choose another --name, or move the file away")
            }
            RepoError::NoPackages { .. } => {
                failure(Exit::Missing).hint("name the directory of one architecture, such as REPOSITORY/x86_64")
            }
            RepoError::FileName { .. } => failure(Exit::Usage).hint("rename the file"),
            RepoError::Architecture { .. } => {
                failure(Exit::Usage).hint("keep the packages of each architecture in a directory of their own")
            }
            RepoError::NoArchitecture => failure(Exit::Usage).hint("name it with --arch, for example --arch x86_64"),
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
            Some("the file was damaged or changed: get it again from its source")
        }
        PackageError::NotAPackage => Some("packages are the .apk files of a repository"),
        _ => None,
    }
}

fn signature_hint(error: &SignatureError) -> Option<&'static str> {
    match error {
        SignatureError::Unsigned => Some("if it is yours, sign it with `mailimg repo sign`"),
        SignatureError::UnknownKey { .. } => {
            Some("to trust that key, put its file into the directory named with --keys-dir")
        }
        SignatureError::Invalid { .. } => {
            Some("the file was damaged or changed, or a different key file has the same name")
        }
        _ => None,
    }
}
