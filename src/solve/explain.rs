//! Why a world has no solution.

use std::cell::Cell;
use std::collections::{HashMap, HashSet, VecDeque};

use super::attempt::Attempt;
use super::pins::Pins;
use super::selection::Clash;
use super::universe::{NameId, PackageId, Provider, Universe};
use super::unsolvable::{Problem, Reason, Unsolvable};
use crate::apk::Dependency;
use crate::similar::similar;

/// The most candidates listed for one requirement.
const CANDIDATES: usize = 4;
/// The most problems explained, and the most reasons given for one of the candidates: an index can have any number.
const MOST_PROBLEMS: usize = 50;
const MOST_REASONS: usize = 20;
/// The most dependencies of a world that an explanation names.
const MOST_NAMED: usize = 100;
/// How often to solve for a smaller world. Then the smallest so far is explained.
const MOST_ATTEMPTS: usize = 500;
/// How many comparisons of missing names with others to begin with: about a dozen times the names of a large distribution.
const MOST_COMPARED: usize = 1_000_000;
/// How far to follow dependencies of packages that were not selected.
const DEPTH: usize = 3;

/// Explains why the attempt for `world` has failed.
pub(super) fn explain<'u>(
    universe: &'u Universe,
    pins: &'u Pins,
    arch: &str,
    world: Vec<&'u Dependency>,
    failed: Attempt<'u>,
) -> Unsolvable {
    let solvable = |world: &[&'u Dependency]| Attempt::new(universe, pins, arch, world).is_solution;
    let world = if failed.unknown.is_empty() {
        let suspects = Explanation::new(universe, arch, &failed).suspects();
        drop(failed);
        let fewer: Vec<_> = world.iter().copied().filter(|it| suspects.contains(&*it.name)).collect();
        let is_enough = fewer.len() < world.len() && !solvable(&fewer);
        smallest(if is_enough { fewer } else { world }, &solvable)
    } else {
        // Each missing name is reason enough; report all of them at once.
        failed.unknown
    };
    let attempt = Attempt::new(universe, pins, arch, &world);
    let (problems, more) = Explanation::new(universe, arch, &attempt).problems();
    Unsolvable { world: world.into_iter().take(MOST_NAMED).cloned().collect(), problems, more }
}

/// Reduces a world without a solution to as few dependencies as possible.
fn smallest<'w>(mut world: Vec<&'w Dependency>, solvable: &dyn Fn(&[&'w Dependency]) -> bool) -> Vec<&'w Dependency> {
    let mut chunk = world.len();
    let mut attempts = 0;
    while chunk > 0 {
        let mut start = 0;
        while start < world.len() && world.len() > 1 && attempts < MOST_ATTEMPTS {
            attempts += 1;
            let mut rest = world.clone();
            rest.drain(start..(start + chunk).min(world.len()));
            if rest.is_empty() || solvable(&rest) {
                start += chunk;
            } else {
                world = rest;
            }
        }
        chunk /= 2;
    }
    world
}

/// A requirement in force: who requires it, of which name.
type InForce<'u> = (Option<PackageId>, NameId, &'u Dependency);

struct Explanation<'a, 'u> {
    universe: &'u Universe,
    arch: &'a str,
    attempt: &'a Attempt<'u>,
    /// Requirements of the world and of selected packages, by name.
    required: HashMap<NameId, Vec<InForce<'u>>>,
    /// Why a package was selected: because of a package, or of a dependency in the world.
    parents: HashMap<PackageId, Result<PackageId, &'u Dependency>>,
    /// How many comparisons are left, see [`MOST_COMPARED`].
    compared: Cell<usize>,
}

impl<'a, 'u> Explanation<'a, 'u> {
    fn new(universe: &'u Universe, arch: &'a str, attempt: &'a Attempt<'u>) -> Self {
        let (required, parents, compared) = (HashMap::new(), HashMap::new(), Cell::new(MOST_COMPARED));
        let mut explanation = Self { universe, arch, attempt, required, parents, compared };
        for requirement in explanation.requirements() {
            explanation.required.entry(requirement.1).or_default().push(requirement);
        }
        explanation.find_parents();
        explanation
    }

    /// Everything that the world and the selected packages require.
    fn requirements(&self) -> impl Iterator<Item = InForce<'u>> + use<'a, 'u> {
        let (universe, attempt) = (self.universe, self.attempt);
        let world = attempt.world.iter().map(|(name, dependency)| (None, *name, *dependency));
        let depends = move |id: &PackageId| {
            let id = *id;
            universe.depends(id).map(move |(name, dependency)| (Some(id), name, dependency))
        };
        world.chain(attempt.packages.iter().flat_map(depends))
    }

    /// The names of the world's dependencies that led to the first problem: to everything that requires the name in
    /// question, and to what was selected for it. Others may play a part.
    fn suspects(&self) -> HashSet<&'u str> {
        let unmet = self.requirements().find(|(from, name, dependency)| !self.is_fulfilled(*from, *name, dependency));
        let (name, packages) = match (unmet, self.attempt.selection.clashes.first()) {
            (Some((_, name, _)), _) => (name, [self.selected(name), None]),
            (None, Some(Clash::Twice(name, a, b))) => (*name, [Some(*a), Some(*b)]),
            (None, _) => return HashSet::new(),
        };
        let requiring = self.required.get(&name).into_iter().flatten();
        let requiring =
            requiring.filter_map(|(from, _, dependency)| from.map_or(Some(*dependency), |id| self.root(id)));
        let selected = packages.into_iter().flatten().filter_map(|id| self.root(id));
        requiring.chain(selected).map(|dependency| &*dependency.name).collect()
    }

    /// The dependency of the world that led to a selected package.
    fn root(&self, mut id: PackageId) -> Option<&'u Dependency> {
        loop {
            match self.parents.get(&id)? {
                Ok(above) => id = *above,
                Err(dependency) => return Some(dependency),
            }
        }
    }

    fn find_parents(&mut self) {
        let mut queue = VecDeque::new();
        for (name, dependency) in self.attempt.world.iter().filter(|(_, it)| !it.conflict) {
            if let Some(package) = self.selected(*name).filter(|it| !self.parents.contains_key(it)) {
                self.parents.insert(package, Err(dependency));
                queue.push_back(package);
            }
        }
        while let Some(parent) = queue.pop_front() {
            let depends = self.universe.depends(parent).filter(|(_, it)| !it.conflict).map(|(name, _)| name);
            let provides = self.universe.provides(parent).map(|(name, _)| name);
            let triggered = provides.flat_map(|name| self.universe.triggered(name).iter().copied());
            for name in depends.chain(triggered).collect::<Vec<_>>() {
                if let Some(package) = self.selected(name).filter(|it| !self.parents.contains_key(it)) {
                    self.parents.insert(package, Ok(parent));
                    queue.push_back(package);
                }
            }
        }
    }

    fn selected(&self, name: NameId) -> Option<PackageId> {
        self.attempt.selection.names[name].decision.provider().map(|it| it.package)
    }

    /// The first problems, and the number of others.
    fn problems(&self) -> (Vec<Problem>, usize) {
        let unknown = self.attempt.unknown.iter().take(MOST_PROBLEMS).map(|dependency| Problem {
            requirement: (*dependency).clone(),
            chain: Vec::new(),
            reasons: self.unknown(dependency),
        });
        let mut problems: Vec<Problem> = unknown.collect();
        let mut more = self.attempt.unknown.len() - problems.len();
        for (from, name, dependency) in self.requirements() {
            if self.is_fulfilled(from, name, dependency) {
                continue;
            }
            if problems.len() >= MOST_PROBLEMS {
                more += 1;
            } else {
                let reasons = self.reasons(from, name, dependency, &mut HashSet::new(), DEPTH);
                problems.push(Problem { requirement: dependency.clone(), chain: self.chain(from), reasons });
            }
        }
        for clash in &self.attempt.selection.clashes {
            if problems.len() >= MOST_PROBLEMS {
                break;
            }
            if let Clash::Twice(name, a, b) = *clash {
                problems.push(self.twice(name, a, b));
            }
        }
        if problems.is_empty() {
            let given_up = self.attempt.selection.clashes.iter().filter_map(|clash| self.given_up(*clash));
            problems.extend(given_up.take(MOST_PROBLEMS));
        }
        // One problem can have many effects.
        let mut seen = HashSet::new();
        problems.retain(|problem| seen.insert(problem.requirement.clone()));
        (problems, more)
    }

    fn unknown(&self, dependency: &Dependency) -> Vec<Reason> {
        match (&dependency.tag, self.universe.find(&dependency.name)) {
            (Some(tag), Some(_)) => vec![Reason::UnknownTag { tag: tag.clone() }],
            _ => self.no_package(dependency),
        }
    }

    fn no_package(&self, dependency: &Dependency) -> Vec<Reason> {
        let (universe, name) = (self.universe, &*dependency.name);
        let left_out = self.left_out(dependency);
        if !left_out.is_empty() {
            return left_out;
        }
        let there = universe.names().filter(|(id, _)| !universe.providers(*id).is_empty()).map(|(_, name)| name);
        let similar = if self.may_compare() { similar(name, there) } else { Vec::new() }.into_iter();
        let provider = |name: &str| universe.providers(universe.find(name)?).last().copied();
        let similar = similar.filter_map(|name| Some((name.to_owned(), self.show(provider(name)?.package))));
        vec![Reason::Unknown { name: name.to_owned(), similar: similar.collect() }]
    }

    /// Whether a missing name may be compared with all others: the first, and as many more as the limit allows.
    fn may_compare(&self) -> bool {
        let left = self.compared.get();
        let is_first = left == MOST_COMPARED;
        let may = is_first || left >= self.universe.name_count();
        self.compared.set(left.saturating_sub(self.universe.name_count()));
        may
    }

    fn left_out(&self, dependency: &Dependency) -> Vec<Reason> {
        self.universe.left_out(dependency).take(CANDIDATES).cloned().map(Reason::LeftOut).collect()
    }

    /// Whether the selected package meets the requirement and may be installed.
    fn is_fulfilled(&self, from: Option<PackageId>, name: NameId, dependency: &Dependency) -> bool {
        let selection = &self.attempt.selection;
        let provider = selection.names[name].decision.provider();
        let allowed = |it: Provider| dependency.conflict || self.is_usable(it.package);
        selection.fulfills(provider, from, dependency) && provider.is_none_or(allowed)
    }

    fn is_usable(&self, id: PackageId) -> bool {
        self.universe.package(id).unsupported.is_none()
            && self.universe.fits(id, self.arch)
            && self.attempt.selection.packages[id].tag_ok
    }

    fn reasons(
        &self,
        from: Option<PackageId>,
        name: NameId,
        dependency: &Dependency,
        seen: &mut HashSet<PackageId>,
        depth: usize,
    ) -> Vec<Reason> {
        if dependency.conflict {
            let selected = self.selected(name).into_iter();
            return selected
                .map(|it| Reason::Selected { package: self.show(it), chain: self.chain_above(it) })
                .collect();
        }
        let selection = &self.attempt.selection;
        let providers = self.universe.providers(name);
        if providers.is_empty() {
            return self.no_package(dependency);
        }
        let fit = |it: &&Provider| selection.satisfies(Some(**it), dependency);
        let fitting: Vec<Provider> = providers.iter().filter(fit).copied().collect();
        if fitting.is_empty() {
            let there: Vec<String> = providers.iter().rev().map(|it| self.show_provider(name, *it)).collect();
            let asked = dependency.constraint.as_ref().map(ToString::to_string).unwrap_or_default();
            let asked = asked.strip_prefix('=').map(str::to_owned).unwrap_or(asked);
            let mut reasons = vec![Reason::OtherVersions { there: unique(there), asked }];
            reasons.extend(self.left_out(dependency));
            return reasons;
        }
        let newest = fitting.iter().rev().take(CANDIDATES);
        let mut reasons: Vec<Reason> =
            newest.flat_map(|it| self.why_not(from, name, it.package, seen, depth)).collect();
        reasons.dedup();
        if reasons.is_empty() {
            let packages = || unique(fitting.iter().map(|it| self.universe.package(it.package).name.clone()).collect());
            reasons = if fitting.iter().all(|it| !selection.is_choosable(name, *it)) {
                vec![Reason::ChooseOne { packages: packages() }]
            } else {
                fitting.iter().take(1).map(|it| Reason::GivenUp { package: self.show(it.package) }).collect()
            };
        }
        reasons
    }

    /// Why a package that would meet `from`'s requirement of `name` can't be installed.
    fn why_not(
        &self,
        from: Option<PackageId>,
        name: NameId,
        id: PackageId,
        seen: &mut HashSet<PackageId>,
        depth: usize,
    ) -> Vec<Reason> {
        let (universe, selection) = (self.universe, &self.attempt.selection);
        let package = || self.show(id);
        if depth == 0 || !seen.insert(id) {
            return Vec::new();
        }
        if let Some(field) = universe.package(id).unsupported {
            return vec![Reason::Unsupported { package: package(), field }];
        }
        if !universe.fits(id, self.arch) {
            return vec![Reason::Architecture { package: package(), arch: universe.package(id).arch.clone() }];
        }
        let tag = universe.repositories(id).iter().find_map(|number| universe.tag(*number));
        if let Some(tag) = tag.filter(|_| !selection.packages[id].tag_ok) {
            return vec![Reason::Tagged { package: package(), tag: tag.to_owned() }];
        }
        let mut reasons = Vec::new();
        for (other, provider) in universe.provides(id) {
            for (by, _, required) in self.required.get(&other).into_iter().flatten() {
                if !selection.fulfills(Some(provider), *by, required) {
                    let (requirement, chain) = ((*required).clone(), self.chain(*by));
                    reasons.push(Reason::Contradicts { package: package(), requirement, chain });
                }
            }
            if reasons.is_empty()
                && other != name
                && let Some(with) = self.selected(other).filter(|with| *with != id && Some(*with) != from)
                && self.exclude_each_other(other, provider)
            {
                let name = universe.name(other).to_owned();
                reasons.push(Reason::SameName {
                    package: package(),
                    name,
                    with: self.show(with),
                    chain: self.chain_above(with),
                });
            }
        }
        let needed =
            universe.depends(id).filter_map(|(other, needed)| self.why_not_with(id, other, needed, seen, depth));
        reasons.extend(needed.take(MOST_REASONS));
        reasons.truncate(MOST_REASONS);
        reasons
    }

    /// Why this dependency keeps a package from being installed.
    fn why_not_with(
        &self,
        id: PackageId,
        name: NameId,
        needed: &Dependency,
        seen: &mut HashSet<PackageId>,
        depth: usize,
    ) -> Option<Reason> {
        let selection = &self.attempt.selection;
        let package = self.show(id);
        if needed.conflict {
            let with = selection.names[name].decision.provider();
            let with = with.filter(|it| !selection.fulfills(Some(*it), Some(id), needed))?.package;
            let (conflict, chain) = (needed.clone(), self.chain_above(with));
            return Some(Reason::Conflicts { package, conflict, with: self.show(with), chain });
        }
        let possible =
            |it: &Provider| selection.packages[it.package].selectable && selection.satisfies(Some(*it), needed);
        if self.universe.providers(name).iter().any(possible) {
            return None;
        }
        let reasons = self.reasons(Some(id), name, needed, seen, depth - 1);
        Some(Reason::Needs { package, requirement: needed.clone(), reasons })
    }

    /// Whether the selected provider of `name` and this one can't be installed together.
    fn exclude_each_other(&self, name: NameId, provider: Provider) -> bool {
        let selected = self.attempt.selection.names[name].decision.provider();
        selected.is_some_and(|it| it.has_version || provider.has_version)
    }

    /// Two selected packages provide `name`: a problem of what requires the second.
    fn twice(&self, name: NameId, a: PackageId, b: PackageId) -> Problem {
        let name = self.universe.name(name).to_owned();
        let package = self.show(b);
        let reason = if a == b {
            Reason::Itself { package, name }
        } else {
            Reason::SameName { package, name, with: self.show(a), chain: self.chain_above(a) }
        };
        self.problem_of(b, reason)
    }

    /// A name for which nothing could be chosen when it was decided, although what was chosen later provides it.
    fn given_up(&self, clash: Clash) -> Option<Problem> {
        let (Clash::NoProvider(name) | Clash::RuledOut(name, _) | Clash::Twice(name, ..)) = clash;
        let package = self.selected(name).or_else(|| self.universe.providers(name).first().map(|it| it.package))?;
        Some(self.problem_of(package, Reason::GivenUp { package: self.show(package) }))
    }

    /// A problem of whatever requires the package, or pulls it in.
    fn problem_of(&self, id: PackageId, reason: Reason) -> Problem {
        let mut requirements = self.universe.provides(id).filter_map(|(name, _)| self.required.get(&name)?.first());
        let (requirement, chain) = match requirements.next() {
            Some((by, _, requirement)) => ((*requirement).clone(), self.chain(*by)),
            None => (Dependency::on(&*self.universe.package(id).name), self.chain_above(id)),
        };
        Problem { requirement, chain, reasons: vec![reason] }
    }

    /// The chain that leads to a requirement of `from`.
    fn chain(&self, from: Option<PackageId>) -> Vec<String> {
        from.map(|id| self.chain_to(id)).unwrap_or_default()
    }

    /// The chain that leads to a selected package, including the package.
    fn chain_to(&self, id: PackageId) -> Vec<String> {
        let mut chain = vec![self.show(id)];
        let mut parent = self.parents.get(&id);
        while let Some(Ok(above)) = parent {
            chain.push(self.show(*above));
            parent = self.parents.get(above);
        }
        if let Some(Err(dependency)) = parent {
            chain.push(dependency.to_string());
        }
        chain.reverse();
        chain
    }

    /// The chain that leads to a selected package, without the package.
    fn chain_above(&self, id: PackageId) -> Vec<String> {
        let mut chain = self.chain_to(id);
        chain.pop();
        chain
    }

    fn show(&self, id: PackageId) -> String {
        let package = self.universe.package(id);
        format!("{}-{}", package.name, package.version)
    }

    /// A package, with the version of the name it provides if the name isn't its own.
    fn show_provider(&self, name: NameId, provider: Provider) -> String {
        let package = self.show(provider.package);
        match self.universe.version(provider) {
            _ if provider.is_itself() => package,
            Some(version) => format!("{}={version} of {package}", self.universe.name(name)),
            None => format!("{} without a version of {package}", self.universe.name(name)),
        }
    }
}

/// The first few distinct texts.
fn unique(mut texts: Vec<String>) -> Vec<String> {
    let mut seen = HashSet::new();
    texts.retain(|text| seen.insert(text.clone()));
    texts.truncate(2 * CANDIDATES);
    texts
}
