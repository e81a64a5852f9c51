//! What a world can reach.

use super::state::Trigger;
use super::{Selection, Tags};
use crate::solve::universe::{NameId, Provider, add_once};
use crate::table::Table;

impl Selection<'_> {
    /// Follows dependencies and triggers from `name` to everything that may become required.
    pub(super) fn discover(&mut self, name: NameId, arch: &str) {
        /// A name whose providers are being followed, and the progress.
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
                let Some((below, _)) = universe.depends_at(provider.package, frame.dependency) else {
                    frame.provider += 1;
                    frame.dependency = 0;
                    continue;
                };
                if self.names[below].reached {
                    self.names[name].depth = self.names[name].depth.max(self.names[below].depth + 1);
                    frame.dependency += 1;
                    continue;
                }
                below
            } else if let Some(triggered) = frame.triggered.pop() {
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

    /// Initialises the state of a name and its providers. Returns the names of the packages whose `install_if` mentions
    /// one of the providers, or none if the name was seen before.
    pub(super) fn see(&mut self, name: NameId, arch: &str) -> Option<Vec<NameId>> {
        if std::mem::replace(&mut self.names[name].reached, true) {
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
                for (name, provider) in self.universe.provides(id) {
                    if provider.is_itself() || !self.names[name].reached {
                        triggered.extend(self.universe.triggered(name));
                    }
                }
            }
            if self.packages[id].trigger != Trigger::Never {
                trigger = Trigger::Open;
            }
        }
        let state = &mut self.names[name];
        state.trigger = trigger;
        state.kind = kind(self.universe.providers(name));
        triggered.reverse();
        Some(triggered)
    }

    pub(super) fn find_dependents(&mut self) {
        let mut seen: Vec<NameId> = self.names.iter().filter(|(_, it)| it.reached).map(|(name, _)| name).collect();
        self.universe.sort(&mut seen);
        for name in seen {
            for provider in self.universe.providers(name) {
                for (below, _) in self.universe.depends(provider.package) {
                    add_once(&mut self.dependents[below], name);
                }
            }
        }
        // The first of each counts: what is pushed onto a queue twice stays where it is.
        let mut last = Table::filled(None, self.universe.name_count());
        for below in self.names.ids() {
            self.dependents[below].retain(|name| last[*name].replace(below) != Some(below));
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
