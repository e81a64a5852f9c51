use std::io::ErrorKind;

use super::{DISK_FULL, Exit, Failure, system_hint};
use crate::debian::ImportError;

const KEYRING: &str = "update the package debian-archive-keyring (`apt-get update && apt-get install \
                       debian-archive-keyring`), or name a file with Debian's keys with --keyring; signatures are \
                       always verified";

impl From<ImportError> for Failure {
    fn from(error: ImportError) -> Self {
        let failure = |exit| Self::new(exit, &error);
        match error {
            ImportError::Mapping(error) => error.into(),
            ImportError::File { ref source, .. } => hinted(failure(Exit::System), system_hint(source)),
            ImportError::Write(ref write) => hinted(failure(Exit::System), system_hint(&write.source)),
            ImportError::NoMapping { ref known, .. } => failure(Exit::Usage).hint(match &known[..] {
                [] => "run this in a project, name one with -C DIR, or name a mapping with --mapping FILE".to_owned(),
                known => format!("there is one for {}", known.join(", ")),
            }),
            ImportError::RunApt { ref source } if source.kind() != ErrorKind::NotFound => failure(Exit::System),
            ImportError::RunApt { .. } => failure(Exit::Missing)
                .hint("the import needs apt-get: run it on Debian, or copy a repository from a Debian machine"),
            ImportError::NoMirror { .. } => failure(Exit::Missing)
                .hint("name a Debian mirror with --mirror, and one for security updates with --security-mirror"),
            ImportError::Credentials { .. } => failure(Exit::Usage)
                .hint("put user name and password into a file in /etc/apt/auth.conf.d: see apt_auth.conf(5)"),
            // apt runs in the C locale.
            ImportError::Apt { ref message, .. } if message.contains("No space left on device") => {
                failure(Exit::System).hint(DISK_FULL)
            }
            ImportError::Apt { ref message, .. } if message.contains("Too many open files") => failure(Exit::System),
            ImportError::Apt { .. } => failure(Exit::Missing).hint(
                "check that this machine reaches the mirror in its apt configuration, or name another with --mirror",
            ),
            ImportError::Keyring { .. } => failure(Exit::Refused).hint(KEYRING),
            ImportError::Hash { .. } => {
                failure(Exit::Refused).hint("try again: the mirror may be changing. The file is not used")
            }
            ImportError::Deb { .. } | ImportError::Control { .. } | ImportError::Unwritable { .. } => {
                failure(Exit::Refused)
            }
            ImportError::NoPackage { .. } => failure(Exit::Missing).hint("correct or remove its name in import.toml"),
            ImportError::NoLibrary { ref package, .. } => {
                let hint = format!(
                    "in import.toml, under [package.{package}], add the package that contains it to `depends`, or, if \
                     it may be missing, the library to `ignore-libraries`"
                );
                failure(Exit::Missing).hint(hint)
            }
            ImportError::NoPath { .. } => {
                failure(Exit::Usage).hint("correct the path in import.toml: Debian may have moved it")
            }
            ImportError::NoAccount { .. } => {
                failure(Exit::Usage).hint("give it an id under [users] or [groups] in import.toml")
            }
            ImportError::NoArch { .. } => failure(Exit::Usage),
            ImportError::Key { .. } => failure(Exit::System).hint(
                "remove DIR.key next to the repository to create a new key; its public key must then be trusted again",
            ),
        }
    }
}

fn hinted(failure: Failure, hint: Option<&'static str>) -> Failure {
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}
