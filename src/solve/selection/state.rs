//! What is known about names and packages while they are selected.

use std::cmp::Reverse;

use crate::solve::pins::Tags;
use crate::solve::universe::Provider;

/// What is known about a name.
#[derive(Debug, Clone, Default)]
pub(in crate::solve) struct NameState {
    /// How many requirements for it are in force.
    pub(in crate::solve) requirers: u32,
    pub(in crate::solve) decision: Decision,
    /// The longest chain of dependencies below it, as far as it was known when it was discovered.
    pub(super) depth: u32,
    /// 0 for a name of packages only, 2 for one that is only provided, 1 for one that is both.
    pub(super) kind: u8,
    pub(super) reached: Reached,
    pub(super) queued: Queued,
    /// What to do when it is looked at again.
    pub(super) check: Check,
    /// Whether there is more than one way to decide it.
    pub(super) has_options: bool,
    /// How providers of it are installed by `install_if`.
    pub(super) trigger: Trigger,
    pub(super) merge: Merge,
}

/// What has been chosen for a name.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::solve) enum Decision {
    /// Not decided yet.
    #[default]
    Open,
    /// Nothing is installed that provides it.
    Nothing,
    /// What provides it.
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

/// How a name has come up.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Reached {
    /// The world, or something that can be reached from it, requires it.
    pub(super) required: bool,
    /// Some package that can be reached from the world provides it.
    pub(super) provided: bool,
}

/// Which queues a name is in.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Queued {
    /// To be looked at again.
    pub(super) dirty: bool,
    /// To be decided.
    pub(super) waiting: Option<Urgency>,
}

/// What makes a name be decided before others: the least goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Urgency {
    /// There is a choice, or one may come.
    pub(super) open: bool,
    /// None of the providers may be chosen unless it is named.
    pub(super) unchoosable: bool,
    /// Nobody requires it: it is pulled in by what is installed.
    pub(super) pulled: bool,
    pub(super) kind: u8,
    pub(super) depth: Reverse<u32>,
    /// How many came before.
    pub(super) arrival: u64,
}

/// What has changed about the providers of a name since it was last looked at.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Check {
    pub(super) depends: bool,
    pub(super) triggers: bool,
}

/// Where a package stands with its `install_if`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Trigger {
    /// Some of it is not decided yet.
    #[default]
    Open,
    /// All of it is installed.
    Pulled,
    /// There is none, or it can't be fulfilled any more.
    Never,
}

/// While the providers of some name are looked at: how many of them so far, without a gap, mention this name.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Merge {
    pub(super) depends: usize,
    pub(super) provides: usize,
    pub(super) without_version: bool,
}

/// What is known about a package.
#[derive(Debug, Clone, Default)]
pub(in crate::solve) struct PackageState {
    /// Can still be chosen.
    pub(in crate::solve) selectable: bool,
    /// In a repository that it may come from.
    pub(in crate::solve) tag_ok: bool,
    /// In a repository of the tag that the world asks for, or an untagged one where it asks for none.
    pub(super) tag_preferred: bool,
    /// Tags that it may come from, and that its dependencies may come from; none until it is reached.
    pub(super) tags: Tags,
    pub(super) trigger: Trigger,
}
