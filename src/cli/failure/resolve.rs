use super::{Exit, Failure};
use crate::resolve::{Regression, ResolveError};

pub(super) const UNTRUSTED: &str = "nothing was kept of it. If the repository is your own, add its key's fingerprint to \
                                    channel.toml and give the key file's directory with --keys-dir";

impl From<ResolveError> for Failure {
    fn from(error: ResolveError) -> Self {
        let failure = |exit| Self::new(exit, &error);
        match error {
            ResolveError::Config(error) => error.into(),
            ResolveError::Packages(error) => error.into(),
            ResolveError::Fetch(error) => error.into(),
            ResolveError::Source(error) => error.into(),
            ResolveError::Store(error) => error.into(),
            ResolveError::World { .. } => failure(Exit::Usage),
            ResolveError::NotLocked { .. } => {
                failure(Exit::Usage).hint("--update is for packages that are locked already; add new ones to a recipe")
            }
            ResolveError::Read { .. } => failure(Exit::System),
            ResolveError::Key { .. } => failure(Exit::Refused)
                .hint("this is not the key that the channel trusts; find out where the file is from"),
            ResolveError::Keys { .. } => failure(Exit::Missing).hint(
                "check the network and proxy settings (HTTPS_PROXY, NO_PROXY). A machine that doesn't reach the \
                 channel's own servers can take keys from a directory with --keys-dir and packages from a mirror with \
                 --repository, or lock against a channel that it reaches: see `channel` in mailimg.toml",
            ),
            ResolveError::NoKeys { .. } => failure(Exit::Missing)
                .hint("name a directory with the channel's key files with --keys-dir, or set keys-url in channel.toml"),
            ResolveError::Index { .. } => failure(Exit::Refused).hint(UNTRUSTED),
            ResolveError::Unsolvable { .. } => failure(Exit::Unsolvable),
            ResolveError::NotInIndex { .. } => failure(Exit::Refused),
            ResolveError::NotAsIndexed { .. } => {
                failure(Exit::Refused).hint("a mirror in the middle of an update looks like this too: try again later")
            }
            ResolveError::Scripts { .. } => failure(Exit::Refused).hint(
                "mailimg runs no scripts. Read each, then add the lines above to the channel's scripts.toml with what \
                 does the same in an image, or why it can do without",
            ),
            ResolveError::Unwritable { .. } => failure(Exit::Usage)
                .hint("a name in the recipe has a character that a lock can't hold, such as a space"),
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
