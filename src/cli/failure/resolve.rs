use super::{Exit, Failure};
use crate::resolve::{Regression, ResolveError};

pub(super) const UNTRUSTED: &str = "nothing was kept. If the repository is your own, add its key's fingerprint to \
                                    channel.toml and name the directory with the key file with --keys-dir";

impl From<ResolveError> for Failure {
    fn from(error: ResolveError) -> Self {
        let failure = |exit| Self::new(exit, &error);
        match error {
            ResolveError::Config(error) => error.into(),
            ResolveError::Packages(error) => error.into(),
            ResolveError::Fetch(error) => error.into(),
            ResolveError::Source(error) => error.into(),
            ResolveError::Store(error) => error.into(),
            ResolveError::Lock(error) => error.into(),
            ResolveError::GivenKeys(error) => error.into(),
            ResolveError::Regression(error) => error.into(),
            ResolveError::World { .. } => failure(Exit::Usage),
            ResolveError::NotLocked { .. } => failure(Exit::Usage).hint(
                "--update takes only packages that are already locked; add new ones to a \
                                           recipe",
            ),
            ResolveError::Read { .. } => failure(Exit::System),
            ResolveError::Key { .. } => failure(Exit::Refused)
                .hint("this is not the key that the channel trusts; find out where the file came from"),
            ResolveError::Keys { .. } => failure(Exit::Missing).hint(
                "check the network and proxy settings (HTTPS_PROXY, NO_PROXY). If this machine can't reach the \
                 channel's servers, take keys from a directory with --keys-dir and packages from a mirror with \
                 --repository, or use another channel: see `channel` in mailimg.toml",
            ),
            ResolveError::NoKeys { .. } => failure(Exit::Missing)
                .hint("name a directory with the channel's key files with --keys-dir, or set keys-url in channel.toml"),
            ResolveError::Index { .. } => failure(Exit::Refused).hint(UNTRUSTED),
            ResolveError::GivenIndex { ref keys, .. } => {
                failure(Exit::Refused).hint(format!("the keys to trust are those in {keys}"))
            }
            ResolveError::Unsolvable { .. } => failure(Exit::Unsolvable),
            ResolveError::NotInIndex { .. } => failure(Exit::Refused),
            ResolveError::NotInRepository { .. } => failure(Exit::Missing)
                .hint("this happens while a mirror is being updated: try again later, or use another"),
            ResolveError::NotAsIndexed { .. } => {
                failure(Exit::Refused).hint("this also happens while a mirror is being updated: try again later")
            }
            ResolveError::Scripts { .. } => failure(Exit::Refused).hint(
                "mailimg doesn't run scripts. Read each one, then add the lines above to the channel's scripts.toml \
                 and fill in what replaces the script, or why images don't need it",
            ),
            ResolveError::Unwritable { .. } => failure(Exit::Usage)
                .hint("a name in the recipe contains a character that locks can't represent, such as a space"),
        }
    }
}

impl From<Regression> for Failure {
    fn from(error: Regression) -> Self {
        Self::new(Exit::Refused, &error).hint(
            "a mirror may be behind, or somebody may be holding back updates; if you mean it, use --allow-downgrade",
        )
    }
}
