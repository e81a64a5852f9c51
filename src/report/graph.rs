use std::collections::{BTreeMap, HashMap};

use rayon::prelude::*;

use super::ReportError;
use crate::apk::{Dependency, Package};
use crate::packages::{ObtainError, Obtained};
use crate::similar::similar;
use crate::table::{Table, id};

id! {
    /// A package of a [`Graph`].
    pub NodeId
}

/// The most similar names to suggest.
const NEAR: usize = 5;

/// The packages of an image, and why each of them is there.
#[derive(Debug, Clone)]
pub struct Graph {
    image: String,
    /// Sorted by name.
    packages: Table<NodeId, Package>,
    /// Sorted, with each pair of ends and kind once.
    edges: Vec<Edge>,
}

/// The start of an edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum From {
    /// The world: somebody requested the package.
    World,
    Package(NodeId),
}

/// How one package brings in another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Requires,
    /// It is one of the other's `install_if` conditions.
    InstallIf,
}

/// One reason why a package is in the image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    /// What brings it in.
    pub from: From,
    pub to: NodeId,
    pub kind: Kind,
    /// The dependencies that the package satisfies, as written.
    pub by: Vec<String>,
}

impl Graph {
    /// Reads the packages of an image and builds their graph.
    pub fn of(image: &str, world: &[Dependency], packages: &[Obtained<'_>]) -> Result<Self, ObtainError> {
        let packages = packages.par_iter().map(Obtained::metadata).collect::<Result<Vec<_>, _>>()?;
        Ok(Self::new(image, world, packages))
    }

    /// Builds the graph from the packages of an image and its world.
    #[must_use]
    pub fn new(image: impl Into<String>, world: &[Dependency], mut packages: Vec<Package>) -> Self {
        packages.sort_by(|a, b| a.name.cmp(&b.name));
        let packages = Table::from(packages);
        let providers = Providers::of(&packages);
        let mut found: BTreeMap<(From, NodeId, Kind), Vec<String>> = BTreeMap::new();
        let mut add = |from, to, kind, dependency: &Dependency| {
            if from != From::Package(to) {
                found.entry((from, to, kind)).or_default().push(dependency.to_string());
            }
        };
        for dependency in world {
            for to in providers.fulfil(dependency) {
                add(From::World, to, Kind::Requires, dependency);
            }
        }
        for (position, package) in packages.iter() {
            for dependency in &package.depends {
                for to in providers.fulfil(dependency) {
                    add(From::Package(position), to, Kind::Requires, dependency);
                }
            }
            if package.install_if.iter().all(|condition| providers.is_met(condition)) {
                for condition in &package.install_if {
                    for trigger in providers.fulfil(condition) {
                        add(From::Package(trigger), position, Kind::InstallIf, condition);
                    }
                }
            }
        }
        let edges = found.into_iter().map(|((from, to, kind), by)| Edge { from, to, kind, by }).collect();
        Self { image: image.into(), packages, edges }
    }

    #[must_use]
    pub fn image(&self) -> &str {
        &self.image
    }

    /// All packages, sorted by name.
    #[must_use]
    pub fn packages(&self) -> &Table<NodeId, Package> {
        &self.packages
    }

    #[must_use]
    pub fn package(&self, id: NodeId) -> &Package {
        &self.packages[id]
    }

    /// All edges: the world's first, then by the package that they begin at.
    #[must_use]
    pub fn edges(&self) -> &[Edge] {
        &self.edges
    }

    /// The edges that start there.
    pub fn from(&self, from: From) -> impl Iterator<Item = &Edge> {
        let start = self.edges.partition_point(|edge| edge.from < from);
        self.edges.iter().skip(start).take_while(move |edge| edge.from == from)
    }

    /// The package of that name, or else those that provide it.
    pub fn find(&self, name: &str) -> Result<Vec<NodeId>, ReportError> {
        let found = Providers::of(&self.packages).fulfil(&Dependency::on(name));
        if found.is_empty() { Err(self.unknown(name)) } else { Ok(found) }
    }

    /// The dependencies of an edge, if they say more than the package's name.
    #[must_use]
    pub fn reasons(&self, edge: &Edge) -> Option<String> {
        let package = self.package(edge.to);
        match (edge.kind, edge.by.as_slice()) {
            (Kind::Requires, [only]) if *only == package.name => None,
            (Kind::Requires, by) => Some(by.join(" ")),
            (Kind::InstallIf, _) => {
                let condition = package.install_if.iter().map(ToString::to_string).collect::<Vec<_>>();
                Some(format!("installed if {}", condition.join(" ")))
            }
        }
    }

    fn unknown(&self, name: &str) -> ReportError {
        let names = || self.packages.items().iter().map(|package| package.name.as_str());
        let mut near: Vec<String> = similar(name, names()).into_iter().map(str::to_owned).collect();
        if near.is_empty() && name.len() > 2 {
            near = names().filter(|other| other.contains(name) || name.contains(other)).map(str::to_owned).collect();
            near.truncate(NEAR);
        }
        ReportError::NotInImage { image: self.image.clone(), package: name.to_owned(), near }
    }
}

/// The packages by name.
struct Providers<'a> {
    packages: &'a Table<NodeId, Package>,
    by_name: HashMap<&'a str, Vec<NodeId>>,
}

impl<'a> Providers<'a> {
    fn of(packages: &'a Table<NodeId, Package>) -> Self {
        let mut by_name: HashMap<&str, Vec<NodeId>> = HashMap::new();
        for (position, package) in packages.iter() {
            let provided = package.provides.iter().map(|provide| provide.name.as_str());
            for name in provided.chain([package.name.as_str()]) {
                let positions = by_name.entry(name).or_default();
                if positions.last() != Some(&position) {
                    positions.push(position);
                }
            }
        }
        Self { packages, by_name }
    }

    /// The packages that satisfy a dependency: the one of that name, or else those that provide it. A conflict needs
    /// none.
    fn fulfil(&self, dependency: &Dependency) -> Vec<NodeId> {
        if dependency.conflict {
            return Vec::new();
        }
        let there = self.by_name.get(dependency.name.as_str()).map_or(&[][..], Vec::as_slice);
        let candidates = || there.iter().map(|id| (*id, &self.packages[*id]));
        let named: Vec<NodeId> =
            candidates().filter(|(_, package)| dependency.describes(package)).map(|(position, _)| position).collect();
        if !named.is_empty() {
            return named;
        }
        let provides = |package: &Package| package.provides.iter().any(|it| dependency.describes_provide(it));
        candidates().filter(|(_, package)| provides(package)).map(|(position, _)| position).collect()
    }

    /// Whether an `install_if` condition is met.
    fn is_met(&self, condition: &Dependency) -> bool {
        if condition.conflict {
            let wanted = Dependency { conflict: false, ..condition.clone() };
            return self.fulfil(&wanted).is_empty();
        }
        !self.fulfil(condition).is_empty()
    }
}
