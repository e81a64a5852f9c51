//! From a world and the packages that repositories offer to what is installed, and in which order: apk's own answer.

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

/// What apk installs into an empty root for `world` on a machine of architecture `arch`.
///
/// Of several requirements for one name the last counts. The order in which a world is written has no influence.
pub fn solve<'u>(universe: &'u Universe, world: &[Dependency], arch: &str) -> Result<Plan<'u>, Unsolvable> {
    let pins = Pins::new(universe);
    let attempt = Attempt::new(universe, &pins, arch, &world.iter().collect::<Vec<_>>());
    if !attempt.is_solution {
        return Err(explain::explain(universe, &pins, arch, world));
    }
    let step = |id| Step { repository: universe.repository(id), package: universe.package(id) };
    Ok(Plan { steps: attempt.packages.into_iter().map(step).collect() })
}
