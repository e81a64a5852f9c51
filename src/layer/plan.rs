use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::digest::Sha256;
use crate::rootfs::PackageId;
use crate::table::Table;

/// 1/80 of the packages' bytes may be stored twice, so that small classes take no layers of their own.
const DUPLICATED: u64 = 80;
/// The smallest package that gets a layer of its own, in compressed bytes. An engine takes 50 to 70 ms to load a layer.
const ALONE: u64 = 128 << 10;

/// What decides which layer a package is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    /// Its name, which together with `digest` identifies it.
    pub name: String,
    /// SHA-256 of its data member.
    pub digest: Sha256,
    /// Bytes of its data member.
    pub size: u64,
}

/// The packages in one layer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Group {
    /// Packages of the image, ordered by their names: images install shared packages in different orders.
    pub packages: Vec<PackageId>,
    /// The sorted names of the images with this group, including the image itself.
    pub images: Vec<String>,
}

/// Which packages of each image share a layer.
///
/// - Packages that occur in the same images form a *class*, so that a layer is shared by all images with its packages.
/// - Small classes are dissolved into the images' own classes, as long as at most 1.25 % of all bytes are stored again;
///   beyond that, only if an image has more classes than layers.
/// - The rest of the budget goes to the largest packages, which get layers of their own; these can be verbatim (see
///   [`super::NotVerbatim`]).
///
/// Sizes are compared by their power of two, then by name, so that updates rarely move a package.
#[derive(Debug, Clone)]
pub struct Plan<'a> {
    /// By the images that have them: packages with their sizes.
    classes: BTreeMap<Images<'a>, BTreeMap<Key<'a>, u64>>,
    /// Packages with layers of their own, by class.
    alone: BTreeSet<(Images<'a>, Key<'a>)>,
    /// The most layers with packages that an image may have.
    slots: usize,
}

/// A package by name and content.
type Key<'a> = (&'a str, Sha256);
/// Images by name.
type Images<'a> = BTreeSet<&'a str>;

impl<'a> Plan<'a> {
    /// `images` are all images built together, by name, with their packages. `budget` is the most layers an image may
    /// have, including the top layer, which is not planned here. The plan depends on nothing else.
    #[must_use]
    pub fn new(images: &'a BTreeMap<String, Table<PackageId, Packed>>, budget: usize) -> Self {
        let mut plan = Self::of_classes(images, budget.saturating_sub(1).max(1));
        plan.dissolve();
        plan.separate();
        plan
    }

    fn of_classes(images: &'a BTreeMap<String, Table<PackageId, Packed>>, slots: usize) -> Self {
        let mut having: BTreeMap<(Key<'a>, u64), Images<'a>> = BTreeMap::new();
        for (image, packages) in images {
            for Packed { name, digest, size } in packages.items() {
                having.entry(((name, *digest), *size)).or_default().insert(image);
            }
        }
        let mut classes: BTreeMap<Images<'a>, BTreeMap<Key<'a>, u64>> = BTreeMap::new();
        for ((key, size), images) in having {
            classes.entry(images).or_default().insert(key, size);
        }
        Self { classes, alone: BTreeSet::new(), slots }
    }

    /// Shared classes with the bytes that are stored again if they are dissolved, the cheapest first.
    fn cheapest(&self) -> Vec<(u64, Images<'a>)> {
        let cost = |(images, packages): (&Images<'a>, &BTreeMap<_, u64>)| {
            (packages.values().sum::<u64>() * (images.len() as u64).saturating_sub(1), images.clone())
        };
        let mut costs: Vec<_> = self.classes.iter().filter(|(images, _)| images.len() > 1).map(cost).collect();
        costs.sort_by(|(a, x), (b, y)| (a.checked_ilog2(), x).cmp(&(b.checked_ilog2(), y)));
        costs
    }

    fn dissolve(&mut self) {
        let mut allowance = self.classes.values().flat_map(BTreeMap::values).sum::<u64>() / DUPLICATED;
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
            self.classes.entry(Images::from([*image])).or_default().extend(&packages);
        }
    }

    /// The number of layers with packages that an image currently has.
    fn layers(&self, image: &str) -> usize {
        let classes = self.classes.iter().filter(|(images, packages)| images.contains(image) && !packages.is_empty());
        classes.count() + self.alone.iter().filter(|(images, _)| images.contains(image)).count()
    }

    /// Gives large packages layers of their own, while layers remain.
    fn separate(&mut self) {
        let all =
            self.classes.iter().flat_map(|(images, packages)| packages.iter().map(move |it| (images.clone(), it)));
        let big = all.filter(|(_, (_, size))| **size >= ALONE);
        let mut candidates: Vec<_> = big.map(|(images, (key, size))| (Reverse(size.ilog2()), *key, images)).collect();
        candidates.sort();
        for (_, key, images) in candidates {
            let is_last = self.classes.get(&images).is_some_and(|packages| packages.len() == 1);
            if is_last || images.iter().all(|image| self.layers(image) < self.slots) {
                self.classes.entry(images.clone()).or_default().remove(&key);
                self.alone.insert((images, key));
            }
        }
    }

    /// The groups of one image, a layer each, bottom to top: what most images have at the bottom, because engines share
    /// layers only where all below them are the same; of one class first the packages that stand alone.
    #[must_use]
    pub fn groups(&self, image: &str, packages: &Table<PackageId, Packed>) -> Vec<Group> {
        let mut groups: BTreeMap<_, Vec<(Key<'_>, PackageId)>> = BTreeMap::new();
        for (id, package) in packages.iter() {
            let key = (package.name.as_str(), package.digest);
            let (images, is_alone) = self.class(image, key);
            let order = (Reverse(images.len()), images, !is_alone, is_alone.then_some(key));
            groups.entry(order).or_default().push((key, id));
        }
        let group = |((_, images, ..), mut packages): ((_, Images<'_>, _, _), Vec<(Key<'_>, PackageId)>)| {
            packages.sort_unstable();
            let packages = packages.into_iter().map(|(_, id)| id).collect();
            Group { packages, images: images.into_iter().map(ToOwned::to_owned).collect() }
        };
        groups.into_iter().map(group).collect()
    }

    /// The images that have the same layer of a package as `image`, and whether the package is alone in it.
    fn class<'k>(&self, image: &'k str, key: Key<'k>) -> (Images<'k>, bool)
    where
        'a: 'k,
    {
        let is_meant = |images: &Images<'_>| images.contains(image);
        if let Some((images, _)) = self.alone.iter().find(|(images, it)| *it == key && is_meant(images)) {
            return (images.clone(), true);
        }
        let class = self.classes.iter().find(|(images, packages)| is_meant(images) && packages.contains_key(&key));
        (class.map_or_else(|| Images::from([image]), |(images, _)| images.clone()), false)
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

    type Images = BTreeMap<String, Table<PackageId, Packed>>;

    fn images(of: &[(&str, &[(&str, u64)])]) -> Images {
        let packages = |list: &[(&str, u64)]| list.iter().map(|(name, size)| packed(name, *size)).collect();
        of.iter().map(|(image, list)| ((*image).to_owned(), packages(list))).collect()
    }

    /// `packages @ images` for each layer of an image.
    fn shown(images: &Images, budget: usize, image: &str) -> Vec<String> {
        let name = |id: &PackageId| images[image][*id].name.clone();
        let line = |group: &Group| {
            let packages: Vec<String> = group.packages.iter().map(name).collect();
            format!("{} @ {}", packages.join(" "), group.images.join(" "))
        };
        Plan::new(images, budget).groups(image, &images[image]).iter().map(line).collect()
    }

    fn three() -> Images {
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
        images.insert(
            "b".to_owned(),
            [Packed { digest: Sha256::of("patched"), ..packed("libc", BIG) }].into_iter().collect(),
        );
        assert_eq!(shown(&images, 12, "a"), ["libc @ a"]);
    }

    #[test]
    fn an_update_that_changes_a_size_a_little_moves_nothing() {
        let before = three();
        let mut after = before.clone();
        for packages in after.values_mut() {
            for id in packages.ids().collect::<Vec<_>>() {
                let package = &mut packages[id];
                if package.name == "shell" {
                    (package.size, package.digest) = (package.size + 1000, Sha256::of("new"));
                }
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
            let mut all = Images::new();
            for (number, (size, having)) in sizes.iter().enumerate() {
                for image in (0..4).filter(|image| having >> image & 1 == 1) {
                    all.entry(format!("image{image}")).or_default().push(packed(&format!("p{number}"), *size));
                }
            }
            let distinct: u64 = sizes.iter().filter(|(_, having)| *having > 0).map(|(size, _)| size).sum();
            let plan = Plan::new(&all, budget);
            let mut stored = BTreeMap::new();
            for (image, packages) in &all {
                let groups = plan.groups(image, packages);
                prop_assert!(groups.len() <= budget.saturating_sub(1).max(1));
                let mut ids: Vec<PackageId> = groups.iter().flat_map(|group| group.packages.clone()).collect();
                ids.sort_unstable();
                prop_assert_eq!(ids, packages.ids().collect::<Vec<_>>());
                for group in &groups {
                    prop_assert!(group.images.contains(image));
                    let names: Vec<&Packed> = group.packages.iter().map(|id| &packages[*id]).collect();
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
