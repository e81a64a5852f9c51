use super::{Exit, Failure};
use crate::lock::LockError;

impl From<LockError> for Failure {
    fn from(error: LockError) -> Self {
        // These are told as what they are.
        let error = match error {
            LockError::Fetch(error) => return error.into(),
            LockError::Store(error) => return error.into(),
            LockError::Source(error) => return error.into(),
            LockError::Config(error) => return error.into(),
            LockError::Registry { ref source, .. } => {
                let (exit, hint) = super::registry::advice(source);
                return Self::new(exit, &error).hint(hint);
            }
            error => error,
        };
        let failure = Self::new(exit(&error), &error);
        match hint(&error) {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

fn exit(error: &LockError) -> Exit {
    match error {
        LockError::Parse { .. }
        | LockError::Unwritable { .. }
        | LockError::UnknownRepository { .. }
        | LockError::UnknownArch { .. }
        | LockError::World { .. }
        | LockError::NotLocked { .. } => Exit::Usage,
        LockError::Missing { .. }
        | LockError::Gone { .. }
        | LockError::NotImported { .. }
        | LockError::Keys { .. }
        | LockError::NoKeys { .. } => Exit::Missing,
        LockError::Unsolvable { .. } => Exit::Unsolvable,
        LockError::Read { .. } | LockError::Stored { .. } => Exit::System,
        _ => Exit::Refused,
    }
}

fn hint(error: &LockError) -> Option<&'static str> {
    Some(match error {
        LockError::Missing { .. } => "make it with `mailimg lock`, review it and commit it",
        LockError::Parse { .. } => {
            "take the committed version, or make it anew with `mailimg lock`; locks are not for editing"
        }
        LockError::Gone { .. } => {
            "if the repository has replaced the package since it was locked, lock anew with `mailimg lock`. So that it can be \
             had next time, push images when they are built: `mailimg push` keeps their packages in the registry"
        }
        LockError::NotImported { .. } => {
            "make it with `mailimg repo import-debian --suite trixie --out DIR`, or name one that is already made with \
             `--repository debian=DIR`"
        }
        LockError::Keys { .. } => {
            "check the network and proxy settings (HTTPS_PROXY, NO_PROXY). A machine that doesn't reach the channel's own \
             servers can take keys from a directory with --keys-dir and packages from a mirror with --repository, or \
             lock against a channel that it reaches: see `channel` in mailimg.toml"
        }
        LockError::NoKeys { .. } => {
            "name a directory with the channel's key files with --keys-dir, or set keys-url in channel.toml"
        }
        LockError::Index { .. } | LockError::Signature { .. } => {
            "nothing was kept of it. If the repository is your own, add its key's fingerprint to channel.toml and give \
             the key file's directory with --keys-dir"
        }
        LockError::Key { .. } => "this is not the key that the channel trusts; find out where the file is from",
        LockError::Scripts { .. } => {
            "mailimg runs no scripts. Read each, then add the lines above to the channel's scripts.toml with what does \
             the same in an image, or why it can do without"
        }
        LockError::OlderIndex { .. } | LockError::Downgrade { .. } => {
            "a mirror may be behind, or somebody may be holding back updates; if it is meant, use --allow-downgrade"
        }
        LockError::NotAsLocked { .. } => {
            "the lock was edited, or belongs to other packages: take the committed version, or lock anew with \
             `mailimg lock`"
        }
        LockError::NotAsIndexed { .. } => "a mirror in the middle of an update looks like this too: try again later",
        LockError::Unwritable { .. } => "a name in the recipe has a character that a lock can't hold, such as a space",
        LockError::NotLocked { .. } => "--update is for packages that are locked already; add new ones to a recipe",
        _ => return None,
    })
}
