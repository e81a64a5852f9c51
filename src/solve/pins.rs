use super::universe::Universe;

/// A set of tags, which can include "none".
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tags(u64);

impl Tags {
    /// Repositories without a tag.
    pub(super) const UNTAGGED: Self = Self(1);

    pub(super) fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// The tags of each repository.
#[derive(Debug)]
pub(super) struct Pins {
    names: Vec<String>,
    repositories: Vec<Tags>,
}

impl Pins {
    pub(super) fn new(universe: &Universe) -> Self {
        let mut names: Vec<String> = universe.tags().iter().flatten().cloned().collect();
        names.sort();
        names.dedup();
        let mut pins = Self { names, repositories: Vec::new() };
        pins.repositories = universe.tags().iter().map(|tag| pins.tags(tag.as_deref())).collect();
        pins
    }

    /// The set with this tag, or the empty set if no repository has it.
    pub(super) fn tags(&self, tag: Option<&str>) -> Tags {
        let Some(tag) = tag else { return Tags::UNTAGGED };
        let number = self.names.iter().position(|name| name == tag).map(|number| number + 1);
        Tags(number.and_then(|number| 1_u64.checked_shl(u32::try_from(number).ok()?)).unwrap_or_default())
    }

    pub(super) fn knows(&self, tag: &str) -> bool {
        self.names.iter().any(|name| name == tag)
    }

    /// Whether any of the repositories has any of the tags.
    pub(super) fn allow(&self, tags: Tags, repositories: &[usize]) -> bool {
        repositories.iter().filter_map(|number| self.repositories.get(*number)).any(|it| it.0 & tags.0 != 0)
    }
}
