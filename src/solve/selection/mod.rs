//! Selects packages as apk does, never revising a choice.
//!
//! At first every name reachable from the world is undecided. Deciding a name chooses one of its providers, or none.
//! The provider thereby decides every name it provides, its dependencies become required, and everything that
//! contradicts it is ruled out. Required names are decided one by one, those without a choice first, so that real
//! choices are made when most is known.

mod decide;
mod discover;
mod state;

use std::cmp::Reverse;
use std::collections::{BTreeSet, VecDeque};

use super::pins::{Pins, Tags};
use super::universe::{NameId, PackageId, Provider, Universe};
use crate::apk::{Constraint, Dependency};
use crate::table::Table;
use state::{Merge, NameState, PackageState, Trigger, Urgency};

/// The state of the search.
pub(super) struct Selection<'u> {
    pub(super) universe: &'u Universe,
    pins: &'u Pins,
    pub(super) names: Table<NameId, NameState>,
    pub(super) packages: Table<PackageId, PackageState>,
    /// For comparing the providers of one name.
    merges: Table<NameId, Merge>,
    /// The discovered names with a provider that depends on the name.
    dependents: Table<NameId, Vec<NameId>>,
    /// The names whose dependents all know that its providers have changed.
    told: Table<NameId, bool>,
    dirty: VecDeque<NameId>,
    /// The names to decide, the most urgent first.
    waiting: BTreeSet<(Urgency, NameId)>,
    arrivals: u64,
    /// Why there is no solution.
    pub(super) clashes: Vec<Clash>,
}

/// A reason why the search failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Clash {
    /// The name is required, but nothing could be chosen for it.
    NoProvider(NameId),
    /// The package was the best choice for the name, but may not be installed.
    RuledOut(NameId, PackageId),
    /// Both packages are required and provide the name, at least one of them with a version.
    Twice(NameId, PackageId, PackageId),
}

impl<'u> Selection<'u> {
    /// Decides all names that `world` requires.
    pub(super) fn run(universe: &'u Universe, pins: &'u Pins, arch: &str, world: &[(NameId, &Dependency)]) -> Self {
        let mut selection = Self {
            universe,
            pins,
            names: Table::filled(NameState::default(), universe.name_count()),
            packages: Table::filled(PackageState::default(), universe.package_count()),
            merges: Table::filled(Merge::default(), universe.name_count()),
            dependents: Table::filled(Vec::new(), universe.name_count()),
            told: Table::filled(false, universe.name_count()),
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

    /// Applies a requirement of `from`, or of the world.
    fn require(&mut self, from: Option<PackageId>, name: NameId, dependency: &Dependency) {
        if !dependency.conflict {
            self.names[name].in_world |= from.is_none();
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
        let becomes_ok = !state.tag_ok && self.pins.allow(state.tags, repositories);
        state.tag_ok |= becomes_ok;
        if from.is_none() {
            state.tag_preferred = self.pins.allow(inherited, repositories);
        }
        if becomes_ok {
            for (name, _) in self.universe.provides(id) {
                if self.names[name].queued.waiting.is_some() {
                    self.wait(name);
                }
            }
        }
    }

    /// Whether choosing `provider`, or nothing, satisfies `dependency`.
    pub(super) fn satisfies(&self, provider: Option<Provider>, dependency: &Dependency) -> bool {
        let Some(provider) = provider else { return dependency.conflict };
        let described = match &dependency.constraint {
            None => true,
            Some(Constraint::Checksum(checksum)) => {
                self.universe.package(provider.package).checksum.as_ref() == Some(checksum)
            }
            Some(Constraint::Version { op, version }) => {
                self.universe.version(provider).is_some_and(|it| op.allows(it, version))
            }
        };
        described != dependency.conflict
    }

    /// Whether choosing `provider` satisfies `from`'s `dependency`. No package conflicts with itself.
    pub(super) fn fulfills(
        &self,
        provider: Option<Provider>,
        from: Option<PackageId>,
        dependency: &Dependency,
    ) -> bool {
        let is_itself = from.is_some() && provider.map(|it| it.package) == from;
        dependency.conflict && is_itself || self.satisfies(provider, dependency)
    }

    /// Whether `from`'s `dependency` can still be satisfied.
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

    /// The providers of `name` have changed, so packages that depend on it may have become impossible.
    fn check_depends(&mut self, name: NameId) {
        // Many packages that provide the same names are often ruled out one after the other. A dependent that waits for
        // its check needs no second one, and those that don't wait are asked again when they begin to matter.
        if std::mem::replace(&mut self.told[name], true) {
            return;
        }
        for number in 0..self.dependents[name].len() {
            if let Some(dependent) = self.dependents[name].get(number).copied() {
                self.names[dependent].check.depends = true;
                self.look_later(dependent);
            }
        }
    }

    /// `name` has changed: its `install_if` packages may have to be installed, or no longer.
    fn check_triggers(&mut self, name: NameId) {
        for triggered in self.universe.triggered(name) {
            let state = &mut self.names[*triggered];
            if state.reached && state.trigger != Trigger::Never {
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

    /// Updates a name's place in the queue of names to decide, or removes it.
    fn wait(&mut self, name: NameId) {
        let state = &self.names[name];
        if !state.decision.is_open() {
            return;
        }
        let before = state.queued.waiting;
        let wanted = state.requirers > 0 || state.trigger == Trigger::Pulled;
        let urgency = wanted.then(|| self.urgency(name, before.map_or(self.arrivals, |it| it.arrival.0.1)));
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
        let providers = self.universe.providers(name);
        Urgency {
            open: state.has_options || state.trigger == Trigger::Open,
            foreign: !providers.iter().any(|it| self.packages[it.package].tag_ok),
            pulled: state.requirers == 0,
            kind: state.kind,
            depth: Reverse(state.depth),
            arrival: Reverse((state.in_world, arrival)),
        }
    }

    /// Finds out what the remaining providers of `name` have in common.
    fn look_again(&mut self, name: NameId) {
        let state = &mut self.names[name];
        state.queued.dirty = false;
        if !state.decision.is_open() {
            return;
        }
        let check = std::mem::take(&mut state.check);
        let needed = state.requirers > 0;
        let universe = self.universe;
        if check.depends {
            for provider in universe.providers(name) {
                universe.depends(provider.package).for_each(|(below, _)| self.told[below] = false);
            }
        }
        let (mut options, mut foreign) = (0, false);
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
            foreign |= !self.packages[id].tag_ok;
            options += 1;
        }
        let state = &mut self.names[name];
        state.trigger = trigger;
        state.has_options = needed && (options > 1 || foreign);
        // Options only ever become fewer, so if there are as many as before, they are the same, and what they share has
        // been applied.
        if needed && options > 0 && state.merged != options {
            state.merged = options;
            self.require_common(name);
        }
        self.wait(name);
    }

    /// Updates the `install_if` state of a package.
    fn pull(&mut self, id: PackageId) {
        if self.packages[id].trigger != Trigger::Open {
            return;
        }
        let universe = self.universe;
        let mut trigger = Trigger::Pulled;
        for (name, dependency) in universe.install_if(id) {
            let decision = self.names[name].decision;
            if decision.is_open() {
                // What the world can't reach stays away for sure.
                if dependency.conflict && !self.names[name].reached {
                    continue;
                }
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

    /// Applies the requirements that all remaining providers of `name` share.
    fn require_common(&mut self, name: NameId) {
        let universe = self.universe;
        let (mut first, mut options) = (None, 0);
        for provider in universe.providers(name) {
            let id = provider.package;
            self.packages[id].examined_for = Some(name);
            if !self.packages[id].selectable {
                continue;
            }
            first = first.or(Some(id));
            for (below, dependency) in universe.depends(id) {
                let merge = &mut self.merges[below];
                if !dependency.conflict && merge.depends == options {
                    merge.depends += 1;
                }
            }
            for (other, provider) in universe.provides(id) {
                let merge = &mut self.merges[other];
                if merge.provides == options {
                    merge.provides += 1;
                    merge.without_version |= !provider.has_version;
                }
            }
            options += 1;
        }
        let Some(first) = first else { return };
        for (below, dependency) in universe.depends(first) {
            let common = std::mem::take(&mut self.merges[below].depends) == options;
            if common && self.names[below].requirers == 0 && !dependency.conflict {
                self.need(below);
            }
        }
        for (other, _) in universe.provides(first) {
            let merge = std::mem::take(&mut self.merges[other]);
            if merge.provides == options {
                self.exclude(other, name, merge.without_version);
            }
        }
    }

    /// All providers of `kept`, which have just been examined, also provide `name`: rules out packages that provide `name`
    /// but not `kept`.
    fn exclude(&mut self, name: NameId, kept: NameId, spare_virtual: bool) {
        if name == kept {
            return;
        }
        let universe = self.universe;
        for provider in universe.providers(name) {
            let state = &self.packages[provider.package];
            // Whoever provides `kept` was examined for it. To look through all names of each provider instead would take
            // quadratic time for packages that provide the same names.
            if !state.selectable || state.examined_for == Some(kept) {
                continue;
            }
            let is_virtual = |(_, provided): (NameId, Provider)| !provided.has_version;
            if !(spare_virtual && universe.provides(provider.package).any(is_virtual)) {
                self.rule_out(provider.package);
            }
        }
    }
}
