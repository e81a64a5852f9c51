use std::cmp::Reverse;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::Range;

use indexmap::IndexSet;

use super::visit::bucket;
use crate::apk::index::LeftOut;
use crate::apk::{Checksum, Dependency, Package, Provide, Version};
use crate::table::{Id, Table, id};

id! {
    /// A name that packages provide or require.
    pub(super) NameId
}
id! {
    /// A build of a package, in any number of repositories.
    pub(super) PackageId
}

/// What one repository offers.
#[derive(Debug, Clone, Default)]
pub struct Repository {
    /// The tag without its `@`. Packages of a tagged repository are used only where the tag is requested.
    pub tag: Option<String>,
    /// Its packages, in the order of its index.
    pub packages: Vec<Package>,
    /// Entries of the index that can't be read, for explanations.
    pub left_out: Vec<LeftOut>,
}

/// All packages of all repositories, and how they provide, require and trigger each other.
#[derive(Debug)]
pub struct Universe {
    tags: Vec<Option<String>>,
    packages: Table<PackageId, Candidate>,
    names: IndexSet<Box<str>, NameHashing>,
    links: Table<NameId, Links>,
    /// The names in the dependencies and triggers of each package, in consecutive lists.
    references: Vec<NameId>,
    /// The names that each package provides, and whether with a version, in consecutive lists.
    provided: Vec<(NameId, bool)>,
    left_out: Vec<LeftOut>,
}

/// A package and its repositories.
#[derive(Debug)]
struct Candidate {
    package: Package,
    /// Ascending, never empty.
    repositories: Vec<usize>,
    name: NameId,
    depends: Range<usize>,
    provides: Range<usize>,
    install_if: Range<usize>,
}

#[derive(Debug, Default)]
struct Links {
    providers: Vec<Provider>,
    triggered: Vec<NameId>,
}

/// A package, under one of its names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Provider {
    pub(super) package: PackageId,
    /// The position of the name among the package's provides; none for its own name.
    provide: Option<u32>,
    /// Whether the name has a version.
    pub(super) has_version: bool,
}

impl Universe {
    /// Joins repositories, the preferred one first. A package in several of them counts once.
    #[must_use]
    pub fn new(repositories: Vec<Repository>) -> Self {
        let mut universe = Self {
            tags: Vec::new(),
            packages: Table::new(),
            names: IndexSet::default(),
            links: Table::new(),
            references: Vec::new(),
            provided: Vec::new(),
            left_out: Vec::new(),
        };
        let mut known = HashMap::new();
        for (number, repository) in repositories.into_iter().enumerate() {
            universe.tags.push(repository.tag);
            universe.left_out.extend(repository.left_out);
            for package in repository.packages {
                universe.add(number, package, &mut known);
            }
        }
        universe.link();
        universe
    }

    fn add(&mut self, repository: usize, package: Package, known: &mut HashMap<Checksum, PackageId>) {
        if let Some(same) = package.checksum.and_then(|checksum| known.get(&checksum)) {
            let repositories = &mut self.packages[*same].repositories;
            if repositories.last() != Some(&repository) {
                repositories.push(repository);
            }
            return;
        }
        let checksum = package.checksum;
        let name = self.intern(&package.name);
        let depends = self.refer(package.depends.iter().map(|it| &it.name));
        let provides = self.provide(&package.provides);
        let install_if = self.refer(package.install_if.iter().map(|it| &it.name));
        let repositories = vec![repository];
        let id = self.packages.push(Candidate { package, repositories, name, depends, provides, install_if });
        if let Some(checksum) = checksum {
            known.insert(checksum, id);
        }
    }

    fn intern(&mut self, name: &str) -> NameId {
        if let Some(number) = self.names.get_index_of(name) {
            return NameId::new(number);
        }
        self.names.insert(name.into());
        self.links.push(Links::default())
    }

    fn refer<'a>(&mut self, names: impl Iterator<Item = &'a String>) -> Range<usize> {
        let start = self.references.len();
        for name in names {
            let name = self.intern(name);
            self.references.push(name);
        }
        start..self.references.len()
    }

    fn provide(&mut self, provides: &[Provide]) -> Range<usize> {
        let start = self.provided.len();
        for provide in provides {
            let name = self.intern(&provide.name);
            self.provided.push((name, provide.version.is_some()));
        }
        start..self.provided.len()
    }

    fn link(&mut self) {
        let mut triggering = Vec::new();
        for id in self.packages.ids() {
            let provides: Vec<(NameId, Provider)> = self.provides(id).collect();
            if self.install_if(id).len() > 0 {
                triggering.extend(provides.iter().map(|(name, _)| *name));
            }
            for (name, provider) in provides {
                self.links[name].providers.push(provider);
            }
        }
        self.sort(&mut triggering);
        for name in triggering {
            for provider in self.links[name].providers.clone() {
                let names: Vec<NameId> = self.install_if(provider.package).map(|(name, _)| name).collect();
                for by in names {
                    add_once(&mut self.links[by].triggered, name);
                }
            }
        }
    }

    /// Sorts names into the order in which apk visits them, and removes duplicates.
    pub(super) fn sort(&self, names: &mut Vec<NameId>) {
        names.sort_by_cached_key(|name| (bucket(self.name(*name)), Reverse(*name)));
        names.dedup();
    }

    /// The packages, in the order of their repositories.
    pub fn packages(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().map(|(_, candidate)| &candidate.package)
    }

    pub(super) fn package(&self, id: PackageId) -> &Package {
        &self.packages[id].package
    }

    /// The preferred repository that has the package.
    pub(super) fn repository(&self, id: PackageId) -> usize {
        self.repositories(id).first().copied().unwrap_or_default()
    }

    pub(super) fn repositories(&self, id: PackageId) -> &[usize] {
        &self.packages[id].repositories
    }

    pub(super) fn tag(&self, repository: usize) -> Option<&str> {
        self.tags.get(repository)?.as_deref()
    }

    pub(super) fn tags(&self) -> &[Option<String>] {
        &self.tags
    }

    pub(super) fn package_count(&self) -> usize {
        self.packages.len()
    }

    pub(super) fn name_count(&self) -> usize {
        self.names.len()
    }

    pub(super) fn find(&self, name: &str) -> Option<NameId> {
        self.names.get_index_of(name).map(NameId::new)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = (NameId, &str)> {
        self.names.iter().enumerate().map(|(number, name)| (NameId::new(number), &**name))
    }

    /// Whether the package is for that architecture.
    pub(super) fn fits(&self, id: PackageId, arch: &str) -> bool {
        let package = self.package(id);
        package.arch == arch || package.arch == "noarch" || package.arch.is_empty()
    }

    pub(super) fn name(&self, id: NameId) -> &str {
        self.names.get_index(id.number()).map_or("", |name| name)
    }

    pub(super) fn name_of(&self, id: PackageId) -> NameId {
        self.packages[id].name
    }

    pub(super) fn providers(&self, name: NameId) -> &[Provider] {
        &self.links[name].providers
    }

    /// The names with a provider whose `install_if` mentions `name`.
    pub(super) fn triggered(&self, name: NameId) -> &[NameId] {
        &self.links[name].triggered
    }

    pub(super) fn depends(&self, id: PackageId) -> impl ExactSizeIterator<Item = (NameId, &Dependency)> {
        let candidate = &self.packages[id];
        self.references(&candidate.depends).iter().copied().zip(&candidate.package.depends)
    }

    /// The dependency at a position: `nth` would pass over all before it.
    pub(super) fn depends_at(&self, id: PackageId, position: usize) -> Option<(NameId, &Dependency)> {
        let candidate = &self.packages[id];
        Some((*self.references(&candidate.depends).get(position)?, candidate.package.depends.get(position)?))
    }

    /// The name at a position among those that the package provides.
    pub(super) fn provides_at(&self, id: PackageId, position: usize) -> Option<NameId> {
        let candidate = &self.packages[id];
        match position.checked_sub(1) {
            None => Some(candidate.name),
            Some(position) => self.provided(candidate).get(position).map(|(name, _)| *name),
        }
    }

    pub(super) fn install_if(&self, id: PackageId) -> impl ExactSizeIterator<Item = (NameId, &Dependency)> {
        let candidate = &self.packages[id];
        self.references(&candidate.install_if).iter().copied().zip(&candidate.package.install_if)
    }

    /// The package under each of its names, starting with its own.
    pub(super) fn provides(&self, id: PackageId) -> impl Iterator<Item = (NameId, Provider)> {
        let candidate = &self.packages[id];
        let own = (candidate.name, Provider { package: id, provide: None, has_version: true });
        let provide = move |(number, (name, has_version)): (u32, &(NameId, bool))| {
            (*name, Provider { package: id, provide: Some(number), has_version: *has_version })
        };
        std::iter::once(own).chain((0..).zip(self.provided(candidate)).map(provide))
    }

    /// The version of the provided name.
    pub(super) fn version(&self, provider: Provider) -> Option<&Version> {
        let package = self.package(provider.package);
        match provider.provide {
            None => Some(&package.version),
            Some(number) => package.provides.get(number as usize)?.version.as_ref(),
        }
    }

    /// The entries left out of indexes whose package might meet the requirement.
    pub(super) fn left_out(&self, requirement: &Dependency) -> impl Iterator<Item = &LeftOut> {
        let describes = |it: &LeftOut| {
            let package = Package::new(&*it.name, Version::any(&it.version), "");
            requirement.describes(&package) || it.provides.contains(&requirement.name)
        };
        self.left_out.iter().filter(move |it| describes(it))
    }

    fn provided(&self, candidate: &Candidate) -> &[(NameId, bool)] {
        self.provided.get(candidate.provides.clone()).unwrap_or_default()
    }

    fn references(&self, range: &Range<usize>) -> &[NameId] {
        self.references.get(range.clone()).unwrap_or_default()
    }
}

impl Provider {
    /// Whether the name is the package's own.
    pub(super) fn is_itself(self) -> bool {
        self.provide.is_none()
    }
}

/// Appends `name` unless it is already the last.
pub(super) fn add_once(names: &mut Vec<NameId>, name: NameId) {
    if names.last() != Some(&name) {
        names.push(name);
    }
}

type NameHashing = BuildHasherDefault<NameHasher>;

/// Hashes short texts fast, eight bytes at a time. It needn't resist crafted collisions, because names come from signed
/// indexes.
#[derive(Debug, Default)]
struct NameHasher(u64);

impl Hasher for NameHasher {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        let mut last = [0; 8];
        last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        for word in words.iter().chain([&last]) {
            self.0 = (self.0.rotate_left(5) ^ u64::from_le_bytes(*word)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
    }

    fn finish(&self) -> u64 {
        // A product's best bits are the high ones, but tables also use the low ones.
        self.0.rotate_left(26)
    }
}
