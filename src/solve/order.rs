//! The order of installation: each package after its dependencies, in the order of the world.

use super::selection::Selection;
use super::universe::{NameId, PackageId};
use crate::apk::Dependency;
use crate::table::Table;

pub(super) struct Order<'s, 'u> {
    selection: &'s Selection<'u>,
    /// Names visited so far.
    visited: Table<NameId, bool>,
    placed: Table<PackageId, bool>,
    packages: Vec<PackageId>,
    fulfilled: bool,
}

/// A package whose dependencies, and then the packages it triggers, are being installed.
struct Frame {
    package: PackageId,
    dependency: usize,
    provide: usize,
    triggered: usize,
}

impl<'s, 'u> Order<'s, 'u> {
    pub(super) fn of(selection: &'s Selection<'u>, world: &[(NameId, &Dependency)]) -> Self {
        let mut order = Self {
            selection,
            visited: Table::filled(false, selection.universe.name_count()),
            placed: Table::filled(false, selection.universe.package_count()),
            packages: Vec::new(),
            fulfilled: true,
        };
        for (name, dependency) in world {
            order.check(None, *name, dependency);
            order.place(*name);
        }
        order
    }

    /// The packages in order, and whether all dependencies and the world are satisfied.
    pub(super) fn finish(self) -> (Vec<PackageId>, bool) {
        (self.packages, self.fulfilled)
    }

    fn check(&mut self, package: Option<PackageId>, name: NameId, dependency: &Dependency) {
        let decided = self.selection.names[name].decision.provider();
        if !self.selection.fulfills(decided, package, dependency) {
            self.fulfilled = false;
        }
    }

    /// Installs the provider of `name`, unless it is installed or in progress.
    fn place(&mut self, name: NameId) {
        let universe = self.selection.universe;
        let mut stack: Vec<Frame> = self.enter(name).into_iter().collect();
        while let Some(frame) = stack.last_mut() {
            let package = frame.package;
            let next = if let Some((name, dependency)) = universe.depends_at(package, frame.dependency) {
                frame.dependency += 1;
                self.check(Some(package), name, dependency);
                self.enter(name)
            } else if let Some(name) = universe.provides_at(package, frame.provide) {
                if frame.provide == 0 && frame.triggered == 0 {
                    self.packages.push(package);
                }
                if let Some(triggered) = universe.triggered(name).get(frame.triggered) {
                    frame.triggered += 1;
                    self.enter_triggered(*triggered)
                } else {
                    (frame.provide, frame.triggered) = (frame.provide + 1, 0);
                    continue;
                }
            } else {
                stack.pop();
                continue;
            };
            stack.extend(next);
        }
    }

    fn enter(&mut self, name: NameId) -> Option<Frame> {
        if std::mem::replace(&mut self.visited[name], true) {
            return None;
        }
        let package = self.selection.names[name].decision.provider()?.package;
        if std::mem::replace(&mut self.placed[package], true) {
            return None;
        }
        Some(Frame { package, dependency: 0, provide: 0, triggered: 0 })
    }

    /// Continues with an `install_if` package once all of its conditions are at least in progress.
    fn enter_triggered(&mut self, name: NameId) -> Option<Frame> {
        let selection = self.selection;
        let package = selection.names[name].decision.provider()?.package;
        let met = |(name, dependency): (NameId, &Dependency)| {
            let decided = selection.names[name].decision.provider();
            decided.is_none_or(|it| self.placed[it.package]) && selection.satisfies(decided, dependency)
        };
        if self.placed[package] || !selection.universe.install_if(package).all(met) {
            return None;
        }
        self.enter(name)
    }
}
