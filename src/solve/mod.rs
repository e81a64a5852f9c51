//! From a world and the packages that repositories offer to what is installed, and in which order: apk's own answer.

mod order;
mod pins;
mod selection;
mod table;
mod universe;
mod visit;

use std::collections::BTreeMap;

use crate::apk::{Dependency, Package};
use order::Order;
use pins::Pins;
use selection::Selection;
use universe::NameId;
pub use universe::{Repository, Universe};

/// What to install, in order.
#[derive(Debug, Clone)]
pub struct Plan<'u> {
    /// Each package after what it depends on.
    pub steps: Vec<Step<'u>>,
}

/// A package to install.
#[derive(Debug, Clone, Copy)]
pub struct Step<'u> {
    /// The repository that it comes from: its position in the list that the universe was made of.
    pub repository: usize,
    /// The package.
    pub package: &'u Package,
}

/// The requested packages can't be installed together.
#[derive(Debug, thiserror::Error)]
#[error("no solution: {0:?}")]
pub struct Unsolvable(Vec<String>);

/// What apk installs into an empty root for `world` on a machine of architecture `arch`.
///
/// Of several requirements for one name the last counts. The order in which a world is written has no influence.
pub fn solve<'u>(universe: &'u Universe, world: &[Dependency], arch: &str) -> Result<Plan<'u>, Unsolvable> {
    let mut by_name = BTreeMap::new();
    for dependency in world {
        by_name.insert(&dependency.name, dependency);
    }
    let mut known: Vec<(NameId, &Dependency)> = Vec::new();
    for (name, dependency) in by_name {
        match universe.find(name) {
            Some(name) => known.push((name, dependency)),
            None if dependency.conflict => {}
            None => return Err(Unsolvable(vec![dependency.to_string()])),
        }
    }
    let pins = Pins::new(universe);
    let selection = Selection::run(universe, &pins, arch, &known);
    let order = Order::of(&selection, &known);
    if selection.clashes.is_empty() && order.unfulfilled.is_empty() {
        let step = |id| Step { repository: universe.repository(id), package: universe.package(id) };
        return Ok(Plan { steps: order.packages.into_iter().map(step).collect() });
    }
    Err(Unsolvable(vec![format!("{:?} {:?}", selection.clashes, order.unfulfilled)]))
}
#[cfg(test)]
mod tests;
