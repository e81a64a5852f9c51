use std::collections::BTreeMap;

use super::order::Order;
use super::pins::Pins;
use super::selection::Selection;
use super::universe::{NameId, PackageId, Universe};
use crate::apk::Dependency;

/// The result of selecting packages for a world.
pub(super) struct Attempt<'u> {
    /// The part of the world that packages provide.
    pub(super) world: Vec<(NameId, &'u Dependency)>,
    /// The part of the world that no package provides.
    pub(super) unknown: Vec<&'u Dependency>,
    pub(super) selection: Selection<'u>,
    /// The selected packages in order of installation.
    pub(super) packages: Vec<PackageId>,
    pub(super) is_solution: bool,
}

impl<'u> Attempt<'u> {
    pub(super) fn new(universe: &'u Universe, pins: &'u Pins, arch: &str, world: &[&'u Dependency]) -> Self {
        let (mut known, mut unknown) = (Vec::new(), Vec::new());
        // apk sorts a world by name and keeps one dependency per name.
        let by_name: BTreeMap<&str, &Dependency> = world.iter().map(|it| (&*it.name, *it)).collect();
        for dependency in by_name.into_values() {
            let tag_is_known = dependency.tag.as_ref().is_none_or(|tag| pins.knows(tag));
            match universe.find(&dependency.name) {
                Some(name) if tag_is_known => known.push((name, dependency)),
                None if dependency.conflict => {}
                _ => unknown.push(dependency),
            }
        }
        let selection = Selection::run(universe, pins, arch, &known);
        let (packages, fulfilled) = Order::of(&selection, &known).finish();
        let is_solution = unknown.is_empty() && selection.clashes.is_empty() && fulfilled;
        Self { world: known, unknown, selection, packages, is_solution }
    }
}
