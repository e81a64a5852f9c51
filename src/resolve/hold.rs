use std::collections::{BTreeMap, BTreeSet};

use super::offer::{Chosen, Offer};
use super::{ResolveError, Wanted};
use crate::apk::{Package, Version};
use crate::lock::Lock;

/// Versions to keep, by package name.
pub(super) type Held<'a> = BTreeMap<&'a str, &'a Version>;

/// Solves, keeping all packages of `old` at their versions except those in `update`.
///
/// If that keeps one of them from the version it would get without held packages, its dependencies may move, too.
pub(super) fn plan_update(
    offer: &Offer,
    wanted: &Wanted,
    old: &Lock,
    update: &BTreeSet<String>,
) -> Result<Vec<Chosen>, ResolveError> {
    let free = offer.plan(wanted, &Held::new())?;
    if let Ok(plan) = offer.plan(wanted, &held(old, update))
        && versions(&plan, update) == versions(&free, update)
    {
        return Ok(plan);
    }
    let mut released = required(offer, update);
    released.extend(update.iter().cloned());
    offer.plan(wanted, &held(old, &released))
}

fn held<'a>(old: &'a Lock, released: &BTreeSet<String>) -> Held<'a> {
    let kept = old.packages.iter().filter(|package| !released.contains(&package.name));
    kept.map(|package| (package.name.as_str(), &package.version)).collect()
}

fn versions<'a>(plan: &'a [Chosen], names: &BTreeSet<String>) -> BTreeMap<&'a str, &'a str> {
    let updated = plan.iter().filter(|chosen| names.contains(&chosen.package.name));
    updated.map(|chosen| (chosen.package.name.as_str(), chosen.package.version.as_str())).collect()
}

/// The names of all packages that these may require, in any version, directly or indirectly.
fn required(offer: &Offer, names: &BTreeSet<String>) -> BTreeSet<String> {
    let mut by_name: BTreeMap<&str, Vec<&Package>> = BTreeMap::new();
    let mut providers: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in offer.packages() {
        by_name.entry(&package.name).or_default().push(package);
        for provided in package.provides.iter().map(|provide| &provide.name).chain([&package.name]) {
            providers.entry(provided).or_default().insert(&package.name);
        }
    }
    let mut found = BTreeSet::new();
    let mut open: Vec<&str> = names.iter().map(String::as_str).collect();
    while let Some(name) = open.pop() {
        let dependencies = by_name.get(name).into_iter().flatten().flat_map(|package| &package.depends);
        for provider in dependencies.filter_map(|dependency| providers.get(dependency.name.as_str())).flatten() {
            if found.insert((*provider).to_owned()) {
                open.push(provider);
            }
        }
    }
    found
}
