//! Selects and orders the packages to install for a world, with apk's own answer.

mod attempt;
mod explain;
mod order;
mod pins;
mod selection;
#[cfg(test)]
mod tests;
mod universe;
mod unsolvable;
mod visit;

use crate::apk::{Dependency, Package};
use attempt::Attempt;
use pins::Pins;
pub use universe::{Repository, Universe};
pub use unsolvable::{Problem, Reason, Unsolvable};

/// The packages to install, in order.
#[derive(Debug, Clone)]
pub struct Plan<'u> {
    /// Each package comes after its dependencies.
    pub steps: Vec<Step<'u>>,
}

/// A package to install.
#[derive(Debug, Clone, Copy)]
pub struct Step<'u> {
    /// The package's repository, as a position in the universe's list.
    pub repository: usize,
    pub package: &'u Package,
}

/// What apk installs into an empty root for `world` on the architecture `arch`.
///
/// If a name is required several times, the last requirement counts. Otherwise the order of the world doesn't matter.
pub fn solve<'u>(universe: &'u Universe, world: &[Dependency], arch: &str) -> Result<Plan<'u>, Unsolvable> {
    let pins = Pins::new(universe);
    let world: Vec<&Dependency> = world.iter().collect();
    let attempt = Attempt::new(universe, &pins, arch, &world);
    if !attempt.is_solution {
        return Err(explain::explain(universe, &pins, arch, world, attempt));
    }
    let step = |id| Step { repository: universe.repository(id), package: universe.package(id) };
    Ok(Plan { steps: attempt.packages.into_iter().map(step).collect() })
}
