use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::digest::Sha256;

/// Part of the packages' bytes, one in so many, that may be stored twice so that small classes take no layers.
const DUPLICATED: u64 = 80;
/// Smallest package that gets a layer of its own, compressed bytes. An engine takes 50 to 70 ms to load a layer.
const ALONE: u64 = 128 << 10;

/// A package of an image, as far as it decides which layer it is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    /// Name, which with `digest` tells packages apart.
    pub name: String,
    /// SHA-256 of its data member.
    pub digest: Sha256,
    /// Bytes of its data member.
    pub size: u64,
}

/// Packages that are in one layer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Group {
    /// Positions in the image's list of packages, ordered by the packages' names: images install shared packages in
    /// different orders.
    pub packages: Vec<usize>,
    /// Names of the images that have this group, sorted, the image itself among them.
    pub images: Vec<String>,
}

/// Which packages of which image are in one layer: a group a layer, bottom to top, by image.
///
/// `images` are all those that are built together, by name, each with its packages; `budget` is the largest number of
/// layers of an image, the top one, which is not planned here, included. The plan depends on nothing else.
///
/// - Packages that the same images have form a *class*, so that a layer is shared by all that have its packages.
/// - Classes of few bytes are dissolved into the images' own, as long as what is then stored more than once is at most
///   1.25 % of all; beyond that only where an image has more classes than layers.
/// - What is left of the budget goes to the biggest packages, each alone in a layer, which is then its data member as it
///   is (see [`super::NotVerbatim`]).
///
/// Sizes are compared by their power of two and then by name, so that an update seldom moves a package.
#[must_use]
pub fn plan(images: &BTreeMap<String, Vec<Packed>>, budget: usize) -> BTreeMap<String, Vec<Group>> {
    let mut planner = Planner::new(images, budget.saturating_sub(1).max(1));
    planner.dissolve();
    planner.separate();
    images.iter().map(|(image, packages)| (image.clone(), planner.groups(image, packages))).collect()
}

/// A package by name and content.
type Key<'a> = (&'a str, Sha256);
/// Images by name.
type Images<'a> = BTreeSet<&'a str>;

struct Planner<'a> {
    sizes: BTreeMap<Key<'a>, u64>,
    classes: BTreeMap<Images<'a>, BTreeSet<Key<'a>>>,
    /// Packages that stand alone, by their class.
    alone: BTreeSet<(Images<'a>, Key<'a>)>,
    /// Layers of packages that an image may have.
    slots: usize,
}

impl<'a> Planner<'a> {
    fn new(images: &'a BTreeMap<String, Vec<Packed>>, slots: usize) -> Self {
        let mut sizes = BTreeMap::new();
        let mut having: BTreeMap<Key<'a>, Images<'a>> = BTreeMap::new();
        for (image, packages) in images {
            for package in packages {
                let key = (package.name.as_str(), package.digest);
                sizes.insert(key, package.size);
                having.entry(key).or_default().insert(image);
            }
        }
        let mut classes: BTreeMap<Images<'a>, BTreeSet<Key<'a>>> = BTreeMap::new();
        for (key, images) in having {
            classes.entry(images).or_default().insert(key);
        }
        Self { sizes, classes, alone: BTreeSet::new(), slots }
    }

    fn size(&self, key: &Key<'a>) -> u64 {
        self.sizes.get(key).copied().unwrap_or_default()
    }

    /// Bytes that are stored again if the class is dissolved.
    fn cost(&self, images: &Images<'a>, packages: &BTreeSet<Key<'a>>) -> u64 {
        let bytes: u64 = packages.iter().map(|key| self.size(key)).sum();
        bytes * (images.len() as u64).saturating_sub(1)
    }

    /// Shared classes, the cheapest to dissolve first.
    fn cheapest(&self) -> Vec<(u64, Images<'a>)> {
        let shared = self.classes.iter().filter(|(images, _)| images.len() > 1);
        let mut costs: Vec<_> = shared.map(|(images, keys)| (self.cost(images, keys), images.clone())).collect();
        costs.sort_by(|(a, x), (b, y)| (a.checked_ilog2(), x).cmp(&(b.checked_ilog2(), y)));
        costs
    }

    fn dissolve(&mut self) {
        let mut allowance = self.sizes.values().sum::<u64>() / DUPLICATED;
        for (cost, images) in self.cheapest() {
            if cost <= allowance {
                allowance -= cost;
                self.dissolve_class(&images);
            }
        }
        for (_, images) in self.cheapest() {
            if images.iter().any(|image| self.layers(image) > self.slots) {
                self.dissolve_class(&images);
            }
        }
    }

    fn dissolve_class(&mut self, images: &Images<'a>) {
        let Some(packages) = self.classes.remove(images) else { return };
        for image in images {
            self.classes.entry(Images::from([*image])).or_default().extend(packages.iter().copied());
        }
    }

    /// How many layers of packages an image has as things stand.
    fn layers(&self, image: &str) -> usize {
        let classes = self.classes.iter().filter(|(images, keys)| images.contains(image) && !keys.is_empty());
        classes.count() + self.alone.iter().filter(|(images, _)| images.contains(image)).count()
    }

    /// Gives big packages layers of their own, as long as there are some.
    fn separate(&mut self) {
        let all = self.classes.iter().flat_map(|(images, keys)| keys.iter().map(move |key| (images.clone(), *key)));
        let mut candidates: Vec<_> = all.filter(|(_, key)| self.size(key) >= ALONE).collect();
        candidates.sort_by_key(|(images, key)| (Reverse(self.size(key).checked_ilog2()), *key, images.clone()));
        for (images, key) in candidates {
            let is_last = self.classes.get(&images).is_some_and(|keys| keys.len() == 1);
            if is_last || images.iter().all(|image| self.layers(image) < self.slots) {
                self.classes.entry(images.clone()).or_default().remove(&key);
                self.alone.insert((images, key));
            }
        }
    }

    /// The groups of one image: what most images have at the bottom, because engines share layers only where all below
    /// them are the same; of one class first the packages that stand alone.
    fn groups(&self, image: &str, packages: &[Packed]) -> Vec<Group> {
        let position = |key: &Key<'_>| packages.iter().position(|it| (it.name.as_str(), it.digest) == *key);
        let alone = self.alone.iter().map(|(images, key)| (images, false, vec![*key]));
        let rest = self.classes.iter().map(|(images, keys)| (images, true, keys.iter().copied().collect()));
        let mut found: Vec<(&Images<'_>, bool, Vec<Key<'_>>)> = alone.chain(rest).collect();
        found.retain(|(images, _, keys)| images.contains(image) && !keys.is_empty());
        found.sort_by_key(|(images, is_rest, keys)| (Reverse(images.len()), *images, *is_rest, keys.clone()));
        let group = |(images, _, keys): (&Images<'_>, bool, Vec<Key<'_>>)| {
            let packages = keys.iter().filter_map(position).collect();
            Group { packages, images: images.iter().map(|&name| name.to_owned()).collect() }
        };
        found.into_iter().map(group).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BIG: u64 = 8 << 20;

    fn packed(name: &str, size: u64) -> Packed {
        Packed { name: name.to_owned(), digest: Sha256::of(name), size }
    }

    fn images(of: &[(&str, &[(&str, u64)])]) -> BTreeMap<String, Vec<Packed>> {
        let packages = |list: &[(&str, u64)]| list.iter().map(|(name, size)| packed(name, *size)).collect();
        of.iter().map(|(image, list)| ((*image).to_owned(), packages(list))).collect()
    }

    /// `packages @ images` for each layer of an image.
    fn shown(images: &BTreeMap<String, Vec<Packed>>, budget: usize, image: &str) -> Vec<String> {
        let name = |position: &usize| images[image][*position].name.clone();
        let line = |group: &Group| {
            let packages: Vec<String> = group.packages.iter().map(name).collect();
            format!("{} @ {}", packages.join(" "), group.images.join(" "))
        };
        plan(images, budget)[image].iter().map(line).collect()
    }

    fn three() -> BTreeMap<String, Vec<Packed>> {
        images(&[
            ("a", &[("libc", BIG), ("shell", BIG / 2), ("zlib", BIG / 4), ("tiny", 10), ("own", BIG)]),
            ("b", &[("libc", BIG), ("shell", BIG / 2), ("zlib", BIG / 4), ("icu", BIG)]),
            ("c", &[("libc", BIG), ("icu", BIG), ("tiny", 10), ("z", 5)]),
        ])
    }

    #[test]
    fn layers_are_shared_by_the_images_that_have_their_packages() {
        let images = three();
        assert_eq!(shown(&images, 12, "a"), ["libc @ a b c", "shell @ a b", "zlib @ a b", "own @ a", "tiny @ a"]);
        assert_eq!(shown(&images, 12, "b"), ["libc @ a b c", "shell @ a b", "zlib @ a b", "icu @ b c"]);
        assert_eq!(shown(&images, 12, "c"), ["libc @ a b c", "icu @ b c", "tiny z @ c"]);
    }

    #[test]
    fn a_small_budget_costs_first_the_layers_of_single_packages_then_the_shared_ones() {
        let images = three();
        assert_eq!(shown(&images, 4, "a"), ["libc @ a b c", "shell zlib @ a b", "own tiny @ a"]);
        assert_eq!(shown(&images, 2, "a"), ["libc own shell tiny zlib @ a"]);
        assert_eq!(shown(&images, 0, "c"), ["icu libc tiny z @ c"], "one layer of packages at least");
    }

    #[test]
    fn an_image_alone_has_its_big_packages_and_the_rest() {
        let images = images(&[("a", &[("libc", BIG), ("z", 1), ("m", BIG), ("y", 2)])]);
        assert_eq!(shown(&images, 12, "a"), ["libc @ a", "m @ a", "y z @ a"]);
    }

    #[test]
    fn packages_of_one_name_and_another_content_are_not_shared() {
        let mut images = images(&[("a", &[("libc", BIG)]), ("b", &[("libc", BIG)])]);
        images.get_mut("b").unwrap()[0].digest = Sha256::of("patched");
        assert_eq!(shown(&images, 12, "a"), ["libc @ a"]);
    }

    #[test]
    fn an_update_that_changes_a_size_a_little_moves_nothing() {
        let before = three();
        let mut after = before.clone();
        for packages in after.values_mut() {
            for package in packages.iter_mut().filter(|package| package.name == "shell") {
                (package.size, package.digest) = (package.size + 1000, Sha256::of("new"));
            }
        }
        for image in ["a", "b", "c"] {
            assert_eq!(shown(&before, 5, image), shown(&after, 5, image));
        }
    }

    proptest! {
        #[test]
        fn every_package_is_in_one_layer_and_no_budget_is_exceeded(
            sizes in proptest::collection::vec((1_u64..1 << 24, 0_u8..16), 1..40),
            budget in prop_oneof![0_usize..14, Just(100)],
        ) {
            let mut all: BTreeMap<String, Vec<Packed>> = BTreeMap::new();
            for (number, (size, having)) in sizes.iter().enumerate() {
                for image in (0..4).filter(|image| having >> image & 1 == 1) {
                    all.entry(format!("image{image}")).or_default().push(packed(&format!("p{number}"), *size));
                }
            }
            let distinct: u64 = sizes.iter().filter(|(_, having)| *having > 0).map(|(size, _)| size).sum();
            let plans = plan(&all, budget);
            let mut stored = BTreeMap::new();
            for (image, groups) in &plans {
                prop_assert!(groups.len() <= budget.saturating_sub(1).max(1));
                let mut positions: Vec<usize> = groups.iter().flat_map(|group| group.packages.clone()).collect();
                positions.sort_unstable();
                prop_assert_eq!(positions, (0..all[image].len()).collect::<Vec<_>>());
                for group in groups {
                    prop_assert!(group.images.contains(image));
                    let names: Vec<&Packed> = group.packages.iter().map(|at| &all[image][*at]).collect();
                    let bytes: u64 = names.iter().map(|package| package.size).sum();
                    let names: BTreeSet<String> = names.iter().map(|package| package.name.clone()).collect();
                    stored.insert((group.images.clone(), names), bytes);
                }
            }
            if budget > 16 {
                prop_assert!(stored.values().sum::<u64>() <= distinct + distinct / DUPLICATED);
            }
        }
    }
}
