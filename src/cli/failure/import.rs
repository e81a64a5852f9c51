use super::{Exit, Failure, system_hint};
use crate::debian::ImportError;

const KEYRING: &str = "bring the package debian-archive-keyring up to date (`apt-get update && apt-get install \
                       debian-archive-keyring`), or name a file with Debian's keys with --keyring; signatures are never \
                       left unchecked";

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
            ImportError::NoApt { .. } => failure(Exit::Missing)
                .hint("the bridge needs apt-get: run it on Debian, or copy a repository that was made there"),
            ImportError::NoMirror { .. } => {
                failure(Exit::Missing).hint("name a Debian mirror with --mirror, and --security-mirror for its updates")
            }
            ImportError::Apt { .. } => failure(Exit::Missing).hint(
                "see that this machine reaches the mirror that its apt is set up with, or name one with --mirror",
            ),
            ImportError::Keyring { .. } => failure(Exit::Refused).hint(KEYRING),
            ImportError::Hash { .. } => {
                failure(Exit::Refused).hint("run it again: the mirror may have been changing; the file is not used")
            }
            ImportError::Deb { .. } | ImportError::Control { .. } | ImportError::Unwritable { .. } => {
                failure(Exit::Refused)
            }
            ImportError::NoPackage { .. } => {
                failure(Exit::Missing).hint("correct its name in import.toml, or leave it out")
            }
            ImportError::NoLibrary { ref package, .. } => {
                let hint = format!(
                    "name the package that has it under `depends` in [package.{package}] of import.toml, or the \
                     library under `ignore-libraries` if it may be missing"
                );
                failure(Exit::Missing).hint(hint)
            }
            ImportError::NoPath { .. } => failure(Exit::Usage).hint("correct import.toml: Debian may have moved it"),
            ImportError::NoAccount { .. } => {
                failure(Exit::Usage).hint("give it a number under [users] or [groups] of import.toml")
            }
            ImportError::NoArch { .. } => failure(Exit::Usage),
            ImportError::Key { .. } => failure(Exit::System).hint(
                "remove DIR.key beside the repository to have a new key made; then its public key must be trusted anew",
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
