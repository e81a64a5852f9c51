use std::collections::BTreeMap;

use super::LayerFacts;
use crate::digest::Sha256;

/// Sums over layers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    pub layers: u64,
    /// Compressed bytes.
    pub size: u64,
    /// Uncompressed bytes.
    pub unpacked: u64,
    /// Compressed bytes of verbatim layers.
    pub verbatim: u64,
}

/// The layers and packages of several images, each once.
#[derive(Debug, Clone, Default)]
pub struct Distinct {
    layers: BTreeMap<Sha256, Totals>,
    /// Sizes of data members.
    packages: BTreeMap<Sha256, u64>,
}

impl Totals {
    #[must_use]
    pub fn of(facts: &[LayerFacts<'_>]) -> Self {
        facts.iter().map(Self::of_layer).sum()
    }

    fn of_layer(layer: &LayerFacts<'_>) -> Self {
        let LayerFacts { size, unpacked, .. } = *layer;
        Self { layers: 1, size, unpacked, verbatim: if layer.reason.is_none() { size } else { 0 } }
    }
}

impl std::iter::Sum for Totals {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, more| Self {
            layers: sum.layers + more.layers,
            size: sum.size + more.size,
            unpacked: sum.unpacked + more.unpacked,
            verbatim: sum.verbatim + more.verbatim,
        })
    }
}

impl Distinct {
    /// Adds the layers of an image.
    pub fn add(&mut self, facts: &[LayerFacts<'_>]) {
        self.layers.extend(facts.iter().map(|layer| (layer.digest, Totals::of_layer(layer))));
        let packages = facts.iter().flat_map(|layer| &layer.packages);
        self.packages.extend(packages.map(|package| (package.data.sha256, package.data.size)));
    }

    #[must_use]
    pub fn totals(&self) -> Totals {
        self.layers.values().copied().sum()
    }

    /// How many packages there are, and the bytes of their data members.
    #[must_use]
    pub fn packages(&self) -> (usize, u64) {
        (self.packages.len(), self.packages.values().sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(content: &str, size: u64, reason: Option<&str>) -> LayerFacts<'static> {
        LayerFacts {
            digest: Sha256::of(content),
            diff_id: Sha256::of(content),
            size,
            unpacked: size * 2,
            title: "",
            packages: Vec::new(),
            shared_with: Vec::new(),
            reason: reason.map(str::to_owned),
        }
    }

    #[test]
    fn a_shared_layer_counts_once() {
        let first = [layer("libc", 10, None), layer("top", 5, Some("no package contains it"))];
        let second = [layer("libc", 10, None), layer("other top", 7, Some("no package contains it"))];
        assert_eq!(Totals::of(&first), Totals { layers: 2, size: 15, unpacked: 30, verbatim: 10 });
        let mut distinct = Distinct::default();
        distinct.add(&first);
        distinct.add(&second);
        assert_eq!(distinct.totals(), Totals { layers: 3, size: 22, unpacked: 44, verbatim: 10 });
        assert_eq!(distinct.packages(), (0, 0));
    }
}
