//! Choosing a provider for a name.

use std::cmp::Ordering;

use super::state::{Decision, Trigger};
use super::{Clash, Selection};
use crate::solve::universe::{NameId, Provider};

impl Selection<'_> {
    /// Whether the provider may be chosen for `name` without being requested by its own name.
    pub(in crate::solve) fn is_choosable(&self, name: NameId, provider: Provider) -> bool {
        let package = self.universe.package(provider.package);
        provider.has_version
            || package.provider_priority.is_some_and(|priority| priority > 0)
            || self.names[self.universe.name_of(provider.package)].requirers > 0
            || self.universe.name(name).starts_with("so:")
    }

    /// Chooses a provider for `name`, or none.
    pub(super) fn decide(&mut self, name: NameId) {
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
            self.check_triggers(name);
            if needed {
                self.clashes.push(Clash::NoProvider(name));
            }
            return;
        };
        let id = chosen.package;
        if !self.packages[id].selectable || !self.packages[id].tag_ok {
            self.clashes.push(Clash::RuledOut(name, id));
        }
        // Once is enough, because what is triggered then waits to be looked at. It comes right after the first name,
        // because apk's order of installation depends on it.
        let mut triggered = false;
        for (name, provider) in universe.provides(id) {
            if self.settle(name, Some(provider)) && !std::mem::replace(&mut triggered, true) {
                universe.provides(id).for_each(|(name, _)| self.check_triggers(name));
            }
        }
        for (below, dependency) in universe.depends(id) {
            self.require(Some(id), below, dependency);
        }
    }

    /// Compares two providers of one name: the greater one is chosen.
    pub(super) fn compare(&self, a: Provider, b: Provider) -> Ordering {
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
                // Without a version, it is neither older nor newer.
                _ => Ordering::Equal,
            })
            .then_with(by_own_version)
            .then_with(|| priority(a).cmp(&priority(b)))
            .then_with(|| universe.repository(b.package).cmp(&universe.repository(a.package)))
    }

    /// Decides `name` and rules out its other providers. Returns false if it was decided before.
    fn settle(&mut self, name: NameId, provider: Option<Provider>) -> bool {
        let universe = self.universe;
        let versioned = |it: Option<Provider>| it.is_none_or(|it| it.has_version);
        let before = self.names[name].decision;
        if !before.is_open() {
            if let (Some(a), Some(b)) = (before.provider(), provider)
                && (versioned(before.provider()) || versioned(provider))
            {
                self.clashes.push(Clash::Twice(name, a.package, b.package));
            }
            return false;
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
        true
    }
}
