//! The state of names and packages during selection.

use std::cmp::Reverse;

use crate::solve::pins::Tags;
use crate::solve::universe::{NameId, Provider};

/// The state of a name.
#[derive(Debug, Clone, Default)]
pub(in crate::solve) struct NameState {
    /// The number of requirements in force for it.
    pub(in crate::solve) requirers: u32,
    pub(super) in_world: bool,
    pub(in crate::solve) decision: Decision,
    /// The longest chain of dependencies below it that was known when it was discovered.
    pub(super) depth: u32,
    /// 0: only a package name, 1: both, 2: only provided.
    pub(super) kind: u8,
    /// Whether the world can reach it.
    pub(super) reached: bool,
    pub(super) queued: Queued,
    /// What to do when it is examined again.
    pub(super) check: Check,
    /// Whether there is more than one option.
    pub(super) has_options: bool,
    /// The `install_if` state of its providers.
    pub(super) trigger: Trigger,
    /// How many options there were when what they share was last applied.
    pub(super) merged: u32,
}

/// The choice for a name.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::solve) enum Decision {
    #[default]
    Open,
    Nothing,
    Provider(Provider),
}

impl Decision {
    pub(super) fn is_open(self) -> bool {
        matches!(self, Self::Open)
    }

    pub(in crate::solve) fn provider(self) -> Option<Provider> {
        match self {
            Self::Provider(provider) => Some(provider),
            Self::Open | Self::Nothing => None,
        }
    }
}

/// The queues that contain a name.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Queued {
    /// To be looked at again.
    pub(super) dirty: bool,
    pub(super) waiting: Option<Urgency>,
}

/// Determines which name is decided next: the smallest goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Urgency {
    /// There is a choice, or may be one later.
    pub(super) open: bool,
    /// No provider may come from its repository as long as nothing passes on the tag.
    pub(super) foreign: bool,
    /// Nothing requires it: installed packages pull it in.
    pub(super) pulled: bool,
    pub(super) kind: u8,
    pub(super) depth: Reverse<u32>,
    /// Whether the world requires it, and how many names came before: the latest goes first.
    pub(super) arrival: Reverse<(bool, u64)>,
}

/// What has changed about a name's providers since it was last examined.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Check {
    pub(super) depends: bool,
    pub(super) triggers: bool,
}

/// The `install_if` state of a package.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Trigger {
    /// Some conditions are undecided.
    #[default]
    Open,
    /// All conditions are installed.
    Pulled,
    /// There are no conditions, or they can no longer be met.
    Never,
}

/// While a name's providers are examined: how many of them so far, without a gap, mention this name.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Merge {
    pub(super) depends: u32,
    pub(super) provides: u32,
    pub(super) without_version: bool,
}

/// The state of a package.
#[derive(Debug, Clone, Default)]
pub(in crate::solve) struct PackageState {
    /// Can still be chosen.
    pub(in crate::solve) selectable: bool,
    /// It is in a repository that it may come from.
    pub(in crate::solve) tag_ok: bool,
    /// It is in a repository with the tag that the world requests, or in an untagged one if it requests none.
    pub(super) tag_preferred: bool,
    /// The tags that it and its dependencies may come from; none until it is reached.
    pub(super) tags: Tags,
    pub(super) trigger: Trigger,
    /// The name for which it was last examined as one of its providers.
    pub(super) examined_for: Option<NameId>,
}
