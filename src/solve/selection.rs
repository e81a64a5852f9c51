//! Which packages to install: apk's way, which never takes a choice back.
//!
//! Every name that the world can reach is undecided at first. Deciding a name chooses one of its providers, or none;
//! the provider thereby decides every name that it provides, its dependencies become needed, and whatever contradicts
//! it is ruled out. Names that are needed are decided one after the other, those that leave no choice first, so that
//! real choices are made when most is known about them.

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeSet, VecDeque};

use super::pins::{Pins, Tags};
use super::table::Table;
use super::universe::{NameId, PackageId, Provider, Universe, add_once};
use crate::apk::{Constraint, Dependency};

/// What is known about a name.
#[derive(Debug, Clone, Default)]
pub(super) struct NameState {
    /// How many requirements for it are in force.
    pub(super) requirers: u32,
    pub(super) decision: Decision,
    /// The longest chain of dependencies below it, as far as it was known when it was discovered.
    depth: u32,
    /// 0 for a name of packages only, 2 for one that is only provided, 1 for one that is both.
    kind: u8,
    reached: Reached,
    queued: Queued,
    /// What to do when it is looked at again.
    check: Check,
    /// Whether there is more than one way to decide it.
    has_options: bool,
    /// How providers of it are installed by `install_if`.
    trigger: Trigger,
    merge: Merge,
}

/// What has been chosen for a name.
#[derive(Debug, Clone, Copy, Default)]
pub(super) enum Decision {
    /// Not decided yet.
    #[default]
    Open,
    /// Nothing is installed that provides it.
    Nothing,
    /// What provides it.
    Provider(Provider),
}

impl Decision {
    fn is_open(self) -> bool {
        matches!(self, Self::Open)
    }

    pub(super) fn provider(self) -> Option<Provider> {
        match self {
            Self::Provider(provider) => Some(provider),
            Self::Open | Self::Nothing => None,
        }
    }
}

/// How a name has come up.
#[derive(Debug, Clone, Copy, Default)]
struct Reached {
    /// The world, or something that can be reached from it, requires it.
    required: bool,
    /// Some package that can be reached from the world provides it.
    provided: bool,
}

/// Which queues a name is in.
#[derive(Debug, Clone, Copy, Default)]
struct Queued {
    /// To be looked at again.
    dirty: bool,
    /// To be decided.
    waiting: Option<Urgency>,
}

/// What makes a name be decided before others: the least goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Urgency {
    /// There is a choice, or one may come.
    open: bool,
    /// None of the providers may be chosen unless it is named.
    unchoosable: bool,
    /// Nobody requires it: it is pulled in by what is installed.
    pulled: bool,
    kind: u8,
    depth: Reverse<u32>,
    /// How many came before.
    arrival: u64,
}

/// What has changed about the providers of a name since it was last looked at.
#[derive(Debug, Clone, Copy, Default)]
struct Check {
    depends: bool,
    triggers: bool,
}

/// Where a package stands with its `install_if`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Trigger {
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
struct Merge {
    depends: usize,
    provides: usize,
    without_version: bool,
}

/// What is known about a package.
#[derive(Debug, Clone, Default)]
pub(super) struct PackageState {
    /// Can still be chosen.
    pub(super) selectable: bool,
    /// In a repository that it may come from.
    pub(super) tag_ok: bool,
    /// In a repository of the tag that the world asks for, or an untagged one where it asks for none.
    tag_preferred: bool,
    /// Tags that it may come from, and that its dependencies may come from; none until it is reached.
    tags: Tags,
    trigger: Trigger,
}

/// The state of the search.
pub(super) struct Selection<'u> {
    pub(super) universe: &'u Universe,
    pins: &'u Pins,
    pub(super) names: Table<NameId, NameState>,
    pub(super) packages: Table<PackageId, PackageState>,
    /// Names with a provider that depends on the name, of those that were discovered.
    dependents: Table<NameId, Vec<NameId>>,
    dirty: VecDeque<NameId>,
    /// Names to decide, the most urgent one first.
    waiting: BTreeSet<(Urgency, NameId)>,
    arrivals: u64,
    /// Why there is no solution.
    pub(super) clashes: Vec<Clash>,
}

/// A way in which the search came to no good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Clash {
    /// The name is needed and nothing could be chosen for it.
    NoProvider(NameId),
    /// The package was the best there was for the name, and may not be installed.
    RuledOut(NameId, PackageId),
    /// Both packages are needed and provide the name, at least one of them with a version.
    Twice(NameId, PackageId, PackageId),
}

impl<'u> Selection<'u> {
    /// Decides all names that `world` needs.
    pub(super) fn run(universe: &'u Universe, pins: &'u Pins, arch: &str, world: &[(NameId, &Dependency)]) -> Self {
        let mut selection = Self {
            universe,
            pins,
            names: Table::filled(NameState::default(), universe.name_count()),
            packages: Table::filled(PackageState::default(), universe.package_count()),
            dependents: Table::filled(Vec::new(), universe.name_count()),
            dirty: VecDeque::new(),
            waiting: BTreeSet::new(),
            arrivals: 0,
            clashes: Vec::new(),
        };
        for (name, _) in world {
            selection.discover(*name, arch);
        }
        selection.find_dependents();
        for (name, dependency) in world {
            selection.require(None, *name, dependency);
        }
        loop {
            while let Some(name) = selection.dirty.pop_front() {
                selection.look_again(name);
            }
            let Some((_, name)) = selection.waiting.pop_first() else { return selection };
            selection.names[name].queued.waiting = None;
            selection.decide(name);
        }
    }

    /// Follows dependencies and triggers from `name` to everything that may become needed.
    fn discover(&mut self, name: NameId, arch: &str) {
        /// A name whose providers are being followed, and how far that is.
        struct Frame {
            name: NameId,
            provider: usize,
            dependency: usize,
            triggered: Vec<NameId>,
        }
        let universe = self.universe;
        let start = |name, triggered| Frame { name, provider: 0, dependency: 0, triggered };
        let mut stack: Vec<Frame> = self.see(name, arch).map(|it| start(name, it)).into_iter().collect();
        while let Some(frame) = stack.last_mut() {
            let name = frame.name;
            let next = if let Some(provider) = universe.providers(name).get(frame.provider) {
                let Some((below, _)) = universe.depends(provider.package).nth(frame.dependency) else {
                    frame.provider += 1;
                    frame.dependency = 0;
                    continue;
                };
                if self.names[below].reached.required {
                    self.names[name].depth = self.names[name].depth.max(self.names[below].depth + 1);
                    frame.dependency += 1;
                    continue;
                }
                below
            } else if let Some(triggered) = frame.triggered.pop() {
                if !self.can_be_triggered(triggered) {
                    continue;
                }
                triggered
            } else {
                stack.pop();
                continue;
            };
            if let Some(triggered) = self.see(next, arch) {
                stack.push(start(next, triggered));
            }
        }
    }

    /// Sets up what is known about a name and its providers. Nothing if that has been done; else the names of packages
    /// that are installed if one of the providers is.
    fn see(&mut self, name: NameId, arch: &str) -> Option<Vec<NameId>> {
        if std::mem::replace(&mut self.names[name].reached.required, true) {
            return None;
        }
        let mut triggered = Vec::new();
        let mut trigger = Trigger::Never;
        for provider in self.universe.providers(name) {
            let id = provider.package;
            let package = self.universe.package(id);
            if self.packages[id].tags == Tags::default() {
                let state = &mut self.packages[id];
                state.selectable = self.universe.fits(id, arch) && package.unsupported.is_none();
                state.tags = Tags::UNTAGGED;
                state.tag_ok = self.pins.allow(state.tags, self.universe.repositories(id));
                state.tag_preferred = state.tag_ok;
                state.trigger = if package.install_if.is_empty() { Trigger::Never } else { Trigger::Open };
                for (name, _) in self.universe.provides(id) {
                    self.names[name].reached.provided = true;
                    triggered.extend(self.universe.triggered(name));
                }
            }
            if self.packages[id].trigger != Trigger::Never {
                trigger = Trigger::Open;
            }
        }
        let state = &mut self.names[name];
        state.trigger = trigger;
        state.check.depends = true;
        state.kind = kind(self.universe.providers(name));
        triggered.reverse();
        Some(triggered)
    }

    fn find_dependents(&mut self) {
        let mut seen: Vec<NameId> =
            self.names.iter().filter(|(_, it)| it.reached.required).map(|(name, _)| name).collect();
        self.universe.sort(&mut seen);
        for name in seen {
            for provider in self.universe.providers(name) {
                for (below, _) in self.universe.depends(provider.package) {
                    add_once(&mut self.dependents[below], name);
                }
            }
        }
    }

    /// Whether a package of that name could be installed by its `install_if`, as far as has been discovered.
    fn can_be_triggered(&self, name: NameId) -> bool {
        let universe = self.universe;
        universe.providers(name).iter().any(|it| {
            let mut install_if = universe.install_if(it.package);
            install_if.len() > 0 && install_if.all(|(name, it)| it.conflict || self.names[name].reached.provided)
        })
    }

    /// Puts a requirement of `from`, or of the world, into force.
    fn require(&mut self, from: Option<PackageId>, name: NameId, dependency: &Dependency) {
        if !dependency.conflict {
            self.need(name);
        }
        for provider in self.universe.providers(name) {
            if dependency.conflict && from == Some(provider.package) {
                continue;
            }
            if self.satisfies(Some(*provider), dependency) {
                self.inherit_tags(provider.package, from, dependency);
            } else if self.packages[provider.package].selectable {
                self.rule_out(provider.package);
            }
        }
    }

    fn need(&mut self, name: NameId) {
        self.names[name].requirers += 1;
        if self.names[name].requirers == 1 {
            self.wait(name);
            self.check_triggers(name);
            self.look_later(name);
            self.make_choosable(name);
        }
    }

    fn inherit_tags(&mut self, id: PackageId, from: Option<PackageId>, dependency: &Dependency) {
        let repositories = self.universe.repositories(id);
        let inherited = match from {
            Some(from) => self.packages[from].tags,
            None => self.pins.tags(dependency.tag.as_deref()),
        };
        let state = &mut self.packages[id];
        state.tags = state.tags.and(inherited);
        state.tag_ok |= self.pins.allow(state.tags, repositories);
        if from.is_none() {
            state.tag_preferred = self.pins.allow(inherited, repositories);
        }
    }

    /// Whether choosing `provider` for the name of `dependency`, or nothing, fulfills it.
    pub(super) fn satisfies(&self, provider: Option<Provider>, dependency: &Dependency) -> bool {
        let Some(provider) = provider else { return dependency.conflict };
        let described = match &dependency.constraint {
            None => true,
            Some(Constraint::Checksum(checksum)) => {
                self.universe.package(provider.package).checksum.as_ref() == Some(checksum)
            }
            Some(Constraint::Version { op, version }) => {
                version.is_valid() && self.universe.version(provider).is_some_and(|it| op.matches(it, version))
            }
        };
        described != dependency.conflict
    }

    /// Whether choosing `provider` fulfills `dependency` of `from`. No package conflicts with itself.
    pub(super) fn fulfills(
        &self,
        provider: Option<Provider>,
        from: Option<PackageId>,
        dependency: &Dependency,
    ) -> bool {
        let is_itself = from.is_some() && provider.map(|it| it.package) == from;
        dependency.conflict && is_itself || self.satisfies(provider, dependency)
    }

    /// Whether `dependency` of `from` can still be fulfilled.
    fn satisfiable(&self, from: PackageId, name: NameId, dependency: &Dependency) -> bool {
        let decision = self.names[name].decision;
        if !decision.is_open() {
            return self.fulfills(decision.provider(), Some(from), dependency);
        }
        if dependency.conflict && self.names[name].requirers == 0 {
            return true;
        }
        self.universe
            .providers(name)
            .iter()
            .any(|it| self.packages[it.package].selectable && self.fulfills(Some(*it), Some(from), dependency))
    }

    fn rule_out(&mut self, id: PackageId) {
        self.packages[id].selectable = false;
        for (name, _) in self.universe.provides(id) {
            self.check_depends(name);
            self.check_triggers(name);
        }
    }

    /// The providers of `name` have changed: packages that depend on it may have become impossible.
    fn check_depends(&mut self, name: NameId) {
        for number in 0..self.dependents[name].len() {
            if let Some(dependent) = self.dependents[name].get(number).copied() {
                self.names[dependent].check.depends = true;
                self.look_later(dependent);
            }
        }
    }

    /// `name` has changed: packages that are installed if it is may have to be, or not any more.
    fn check_triggers(&mut self, name: NameId) {
        for triggered in self.universe.triggered(name) {
            let state = &mut self.names[*triggered];
            if state.reached.required && state.trigger != Trigger::Never {
                state.check.triggers = true;
                self.look_later(*triggered);
            }
        }
    }

    fn look_later(&mut self, name: NameId) {
        let state = &mut self.names[name];
        let matters = state.requirers > 0 || state.check.triggers;
        if state.decision.is_open() && matters && !state.queued.dirty {
            state.queued.dirty = true;
            self.dirty.push_back(name);
        }
    }

    /// Puts a name into the queue of those to decide, or out of it, or to its place in it.
    fn wait(&mut self, name: NameId) {
        let state = &self.names[name];
        if !state.decision.is_open() {
            return;
        }
        let before = state.queued.waiting;
        let wanted = state.requirers > 0 || state.trigger == Trigger::Pulled;
        let urgency = wanted.then(|| self.urgency(name, before.map_or(self.arrivals, |it| it.arrival)));
        if urgency != before {
            self.stop_waiting(name);
            self.names[name].queued.waiting = urgency;
            if let Some(urgency) = urgency {
                self.waiting.insert((urgency, name));
                self.arrivals += 1;
            }
        }
    }

    fn stop_waiting(&mut self, name: NameId) {
        if let Some(urgency) = self.names[name].queued.waiting.take() {
            self.waiting.remove(&(urgency, name));
        }
    }

    fn urgency(&self, name: NameId, arrival: u64) -> Urgency {
        let state = &self.names[name];
        Urgency {
            open: state.has_options || state.trigger == Trigger::Open,
            unchoosable: !self.universe.providers(name).iter().any(|it| self.is_choosable(name, *it)),
            pulled: state.requirers == 0,
            kind: state.kind,
            depth: Reverse(state.depth),
            arrival,
        }
    }

    /// `name` is required, so packages of that name may be chosen for what they provide without a version.
    fn make_choosable(&mut self, name: NameId) {
        let universe = self.universe;
        for provider in universe.providers(name).iter().filter(|it| it.is_itself()) {
            for (other, provided) in universe.provides(provider.package) {
                if universe.version(provided).is_none() && self.names[other].queued.waiting.is_some() {
                    self.wait(other);
                }
            }
        }
    }

    /// Finds out what the providers of `name` that are left have in common.
    fn look_again(&mut self, name: NameId) {
        let state = &mut self.names[name];
        state.queued.dirty = false;
        if !state.decision.is_open() {
            return;
        }
        let check = std::mem::take(&mut state.check);
        let needed = state.requirers > 0;
        let universe = self.universe;
        let (mut first, mut options, mut foreign) = (None, 0, 0);
        let mut trigger = Trigger::Never;
        for provider in universe.providers(name) {
            let id = provider.package;
            if check.depends
                && self.packages[id].selectable
                && universe.depends(id).any(|(name, dependency)| !self.satisfiable(id, name, dependency))
            {
                self.rule_out(id);
            }
            if !self.packages[id].selectable {
                continue;
            }
            if check.triggers {
                self.pull(id);
            }
            match self.packages[id].trigger {
                Trigger::Pulled => trigger = Trigger::Pulled,
                Trigger::Open if trigger == Trigger::Never => trigger = Trigger::Open,
                _ => {}
            }
            if !needed {
                continue;
            }
            first = first.or(Some(id));
            for (name, dependency) in universe.depends(id) {
                let merge = &mut self.names[name].merge;
                if !dependency.conflict && merge.depends == options {
                    merge.depends += 1;
                }
            }
            for (name, provider) in universe.provides(id) {
                let merge = &mut self.names[name].merge;
                if merge.provides == options {
                    merge.provides += 1;
                    merge.without_version |= universe.version(provider).is_none();
                }
            }
            foreign += usize::from(!self.packages[id].tag_ok);
            options += 1;
        }
        let state = &mut self.names[name];
        state.has_options = options > 1 || foreign > 0;
        state.trigger = trigger;
        if let Some(first) = first {
            self.require_common(name, first, options);
        }
        self.wait(name);
    }

    /// Updates where a package stands with its `install_if`.
    fn pull(&mut self, id: PackageId) {
        if self.packages[id].trigger != Trigger::Open {
            return;
        }
        let universe = self.universe;
        let mut trigger = Trigger::Pulled;
        for (name, dependency) in universe.install_if(id) {
            let decision = self.names[name].decision;
            if decision.is_open() {
                trigger = Trigger::Open;
                break;
            }
            if !self.satisfies(decision.provider(), dependency) {
                trigger = Trigger::Never;
                break;
            }
        }
        self.packages[id].trigger = trigger;
        if trigger == Trigger::Pulled {
            for (name, dependency) in universe.install_if(id) {
                if let Some(by) = self.names[name].decision.provider() {
                    self.inherit_tags(id, Some(by.package), dependency);
                }
            }
        }
    }

    /// Puts into force what all providers of `name` that are left require, the first of which is `first`.
    fn require_common(&mut self, name: NameId, first: PackageId, options: usize) {
        let universe = self.universe;
        for (below, dependency) in universe.depends(first) {
            let merge = &mut self.names[below].merge;
            let common = std::mem::take(&mut merge.depends) == options;
            if !common {
                continue;
            }
            if options == 1 {
                self.require(Some(first), below, dependency);
            } else if self.names[below].requirers == 0 {
                self.need(below);
            }
        }
        for (other, _) in universe.provides(first) {
            let merge = std::mem::take(&mut self.names[other].merge);
            if merge.provides == options {
                self.exclude(other, name, merge.without_version);
            }
        }
    }

    /// All providers of `kept` provide `name` too: rules out packages that provide `name` and not `kept`.
    fn exclude(&mut self, name: NameId, kept: NameId, spare_virtual: bool) {
        if name == kept {
            return;
        }
        let universe = self.universe;
        for provider in universe.providers(name) {
            if spare_virtual && universe.version(*provider).is_none() || !self.packages[provider.package].selectable {
                continue;
            }
            let spared = universe
                .provides(provider.package)
                .any(|(other, provided)| other == kept || spare_virtual && universe.version(provided).is_none());
            if !spared {
                self.rule_out(provider.package);
            }
        }
    }

    /// Whether the provider may be chosen for `name` without being asked for by its own name.
    pub(super) fn is_choosable(&self, name: NameId, provider: Provider) -> bool {
        let package = self.universe.package(provider.package);
        self.universe.version(provider).is_some()
            || package.provider_priority.is_some_and(|priority| priority > 0)
            || self.names[self.universe.name_of(provider.package)].requirers > 0
            || self.universe.name(name).starts_with("so:")
    }

    /// Chooses a provider for `name`, or none.
    fn decide(&mut self, name: NameId) {
        let universe = self.universe;
        let needed = self.names[name].requirers > 0;
        let mut chosen: Option<Provider> = None;
        for provider in universe.providers(name) {
            let state = &self.packages[provider.package];
            let pulled = state.trigger == Trigger::Pulled && state.tag_ok;
            let eligible = if needed { true } else { pulled };
            if eligible
                && self.is_choosable(name, *provider)
                && chosen.is_none_or(|chosen| self.compare(*provider, chosen).is_gt())
            {
                chosen = Some(*provider);
            }
        }
        let Some(chosen) = chosen else {
            self.settle(name, None);
            if needed {
                self.clashes.push(Clash::NoProvider(name));
            }
            return;
        };
        let id = chosen.package;
        if !self.packages[id].selectable || !self.packages[id].tag_ok {
            self.clashes.push(Clash::RuledOut(name, id));
        }
        for (name, provider) in universe.provides(id) {
            self.settle(name, Some(provider));
        }
        for (below, dependency) in universe.depends(id) {
            self.require(Some(id), below, dependency);
        }
    }

    /// Which of two providers of one name to choose: the greater one.
    fn compare(&self, a: Provider, b: Provider) -> Ordering {
        let universe = self.universe;
        let rank = |it: Provider| {
            let state = &self.packages[it.package];
            (state.selectable, state.tag_ok, state.tag_preferred)
        };
        let package = |it: Provider| universe.package(it.package);
        let by_own_version = || {
            let (a, b) = (package(a), package(b));
            if a.name == b.name { a.version.cmp(&b.version) } else { Ordering::Equal }
        };
        let priority = |it: Provider| package(it).provider_priority.unwrap_or(0);
        rank(a)
            .cmp(&rank(b))
            .then_with(|| match (universe.version(a), universe.version(b)) {
                (Some(a), Some(b)) => a.cmp(b),
                // One that is provided without a version is neither older nor newer.
                _ => Ordering::Equal,
            })
            .then_with(by_own_version)
            .then_with(|| priority(a).cmp(&priority(b)))
            .then_with(|| universe.repository(b.package).cmp(&universe.repository(a.package)))
    }

    /// Decides `name` and rules out its other providers.
    fn settle(&mut self, name: NameId, provider: Option<Provider>) {
        let universe = self.universe;
        let versioned = |it: Option<Provider>| it.is_none_or(|it| universe.version(it).is_some());
        let before = self.names[name].decision;
        if !before.is_open() {
            if let (Some(a), Some(b)) = (before.provider(), provider)
                && a.package != b.package
                && (versioned(before.provider()) || versioned(provider))
            {
                self.clashes.push(Clash::Twice(name, a.package, b.package));
            }
            return;
        }
        self.stop_waiting(name);
        self.names[name].decision = provider.map_or(Decision::Nothing, Decision::Provider);
        for other in universe.providers(name) {
            let same = provider.is_some_and(|it| it.package == other.package);
            let compatible = !versioned(provider) && !versioned(Some(*other));
            if !same && !compatible && self.packages[other.package].selectable {
                self.rule_out(other.package);
            }
        }
        self.check_depends(name);
        match provider {
            Some(provider) => universe.provides(provider.package).for_each(|(name, _)| self.check_triggers(name)),
            None => self.check_triggers(name),
        }
    }
}

/// See [`NameState::kind`].
fn kind(providers: &[Provider]) -> u8 {
    match providers.iter().filter(|it| !it.is_itself()).count() {
        0 => 0,
        count if count == providers.len() => 2,
        _ => 1,
    }
}
