use std::collections::{BTreeMap, BTreeSet};

use super::hold::{Held, plan_update};
use super::offer::{Chosen, Offer};
use super::scripts::unclassified;
use super::{ResolveError, Wanted};
use crate::apk::package::{Head, Listing, Measured};
use crate::apk::{Checksum, Package};
use crate::digest::Sha256;
use crate::fetch::{Request, Size};
use crate::lock::Lock;
use crate::packages::arrive::{self, Reading};
use crate::packages::download;
use crate::packages::inspect::{Inspected, NOARCH, file_name};
use crate::packages::obtained::remember;
use crate::packages::{Fetching, ObtainError};
use crate::store::{Keeper, Question, Store};

/// An image to lock, and its old lock.
pub(super) struct Order<'a> {
    pub(super) wanted: Wanted,
    pub(super) old: Option<&'a Lock>,
    /// The packages to update, if the others keep their versions.
    pub(super) update: Option<&'a BTreeSet<String>>,
}

/// Solves each order, fetches the packages into the store, verifies and reads them, and returns the locks in the same
/// order. A build from these locks finds all packages there, already read.
///
/// Not for use inside the runtime.
pub(super) fn make(offer: &Offer, orders: &[Order<'_>], fetching: Fetching<'_>) -> Result<Vec<Lock>, ResolveError> {
    let plans = orders.iter().map(|order| plan(offer, order)).collect::<Result<Vec<_>, _>>()?;
    let mut unique = BTreeMap::new();
    for chosen in plans.iter().flatten() {
        unique.insert(checksum(&chosen.package)?, chosen);
    }
    let store = fetching.client.store();
    let keeper = store.keeper()?;
    let packages = read_packages(offer, unique, fetching, &keeper)?;
    classify(offer, &packages)?;
    keeper.finish()?;
    plans.iter().zip(orders).map(|(plan, order)| assemble(offer, &order.wanted, plan, &packages, store)).collect()
}

fn plan(offer: &Offer, order: &Order<'_>) -> Result<Vec<Chosen>, ResolveError> {
    match (order.old, order.update) {
        (Some(old), Some(update)) => plan_update(offer, &order.wanted, old, update),
        _ => offer.plan(&order.wanted, &Held::new()),
    }
}

fn checksum(package: &Package) -> Result<Checksum, ResolveError> {
    package.checksum.ok_or_else(|| ResolveError::NotInIndex { package: file_name(package), field: "checksum" })
}

fn size(package: &Package) -> Result<u64, ResolveError> {
    package.file_size.ok_or_else(|| ResolveError::NotInIndex { package: file_name(package), field: "size" })
}

/// What is the listing of the package with this checksum and size in an index?
struct ListingOf {
    checksum: Checksum,
    size: u64,
}

impl ListingOf {
    fn new(package: &Package) -> Result<Self, ResolveError> {
        Ok(Self { checksum: checksum(package)?, size: size(package)? })
    }
}

impl Question for ListingOf {
    const NAME: &'static str = "listing of an indexed package";
    const VERSION: u32 = Listing::VERSION;
    type Answer = Listing;

    fn subject(&self) -> Sha256 {
        Sha256::of(format!("{} {}", self.checksum, self.size))
    }

    fn refers_to(&self, listing: &Listing) -> Vec<Sha256> {
        arrive::members_of(&listing.measured)
    }
}

/// A package in the store, and where it was read from.
struct Read {
    repository: usize,
    inspected: Inspected,
    /// The digests of the file and of the uncompressed data.
    digests: (Sha256, Sha256),
    listing: Listing,
}

fn read_packages(
    offer: &Offer,
    unique: BTreeMap<Checksum, &Chosen>,
    fetching: Fetching<'_>,
    keeper: &Keeper,
) -> Result<BTreeMap<Checksum, Read>, ResolveError> {
    let store = fetching.client.store();
    let (mut packages, mut missing) = (BTreeMap::new(), Vec::new());
    for (checksum, chosen) in unique {
        match from_store(offer, chosen, store)? {
            Some(read) => drop(packages.insert(checksum, read)),
            None => missing.push((checksum, chosen)),
        }
    }
    missing.sort_by_key(|(_, chosen)| chosen.package.file_size);
    let missing = download::from_both_ends(missing);
    let requests = missing.iter().map(|(_, chosen)| request(offer, chosen)).collect::<Result<Vec<_>, _>>()?;
    let read = download::each(fetching, (&requests, &missing), |(checksum, chosen), file| {
        let file = match file {
            Err(answer) if answer.is_gone() => return Ok(Err(answer)),
            file => file?,
        };
        let name = file_name(&chosen.package);
        let reading = Reading { name: &name, store: Some(store) };
        let arrival = arrive::read(file, reading, |head| verify(offer, &chosen.package, head))?;
        compare(&chosen.package, &arrival.inspected)?;
        let (inspected, digests) = (arrival.inspected.clone(), arrival.digests);
        let listing = arrival.keep(keeper)?;
        store.remember(&ListingOf::new(&chosen.package)?, &listing)?;
        Ok::<_, ResolveError>(Ok((*checksum, Read { repository: chosen.repository, inspected, digests, listing })))
    })?;
    let mut answers = Vec::new();
    for read in read {
        match read {
            Ok((checksum, read)) => drop(packages.insert(checksum, read)),
            Err(answer) => answers.push(answer),
        }
    }
    if answers.is_empty() { Ok(packages) } else { Err(ResolveError::NotInRepository { answers }) }
}

/// A package that was read for an earlier lock. Its signature is verified again, because the keys may have changed.
fn from_store(offer: &Offer, chosen: &Chosen, store: &Store) -> Result<Option<Read>, ResolveError> {
    let Some(listing) = store.recall(&ListingOf::new(&chosen.package)?) else { return Ok(None) };
    let Measured { signatures, control, data, .. } = &listing.measured;
    if !arrive::has_all(store, arrive::members(signatures, control, data)) {
        return Ok(None);
    }
    let name = file_name(&chosen.package);
    let file = arrive::join(store, arrive::members(signatures, control, data))?;
    let inspected = arrive::inspect(file, &name, &listing, |head| verify(offer, &chosen.package, head))?;
    compare(&chosen.package, &inspected)?;
    let found = arrive::digests(&listing.measured);
    Ok(found.map(|digests| Read { repository: chosen.repository, inspected, digests, listing }))
}

/// Checks that control is the indexed one and signed by trusted keys, whose names are returned. Imported packages may be
/// unsigned, because their index is signed; if they are signed, that must be valid.
fn verify(offer: &Offer, indexed: &Package, head: &Head) -> Result<Vec<String>, ResolveError> {
    check_checksum(indexed, head.checksum())?;
    if offer.channel.import.is_some() && head.signatures().is_empty() {
        return Ok(Vec::new());
    }
    let untrusted = |source| ObtainError::Signature { package: file_name(indexed), source };
    Ok(head.verify(&offer.trusted.keyring).map_err(untrusted)?)
}

/// Compares the checksum of a package's control member with the one in the index.
pub(super) fn check_checksum(indexed: &Package, found: Checksum) -> Result<(), ResolveError> {
    let expected = checksum(indexed)?;
    if expected == found {
        return Ok(());
    }
    let (package, expected, found) = (file_name(indexed), expected.to_string(), found.to_string());
    Err(ResolveError::NotAsIndexed { package, field: "checksum", expected, found })
}

fn request(offer: &Offer, chosen: &Chosen) -> Result<Request, ResolveError> {
    let (package, name) = (&chosen.package, file_name(&chosen.package));
    let opened = offer
        .repositories
        .get(chosen.repository)
        .ok_or_else(|| ResolveError::NotInIndex { package: name.clone(), field: "repository" })?;
    let location = opened.source.file(&offer.arch, &name);
    Ok(Request { name, location, size: Size::Exactly(size(package)?), digest: None })
}

/// Compares a package with its entry in the index.
fn compare(indexed: &Package, inspected: &Inspected) -> Result<(), ResolveError> {
    let package = &inspected.control.package;
    for (field, expected, found) in [
        ("name", indexed.name.clone(), package.name.clone()),
        ("version", indexed.version.to_string(), package.version.to_string()),
        ("architecture", indexed.arch.clone(), package.arch.clone()),
    ] {
        if expected != found && found != NOARCH {
            return Err(ResolveError::NotAsIndexed { package: file_name(indexed), field, expected, found });
        }
    }
    Ok(())
}

/// Fails if the channel has no rule for a script.
fn classify(offer: &Offer, packages: &BTreeMap<Checksum, Read>) -> Result<(), ResolveError> {
    let open = |read: &Read| {
        let control = &read.inspected.control;
        unclassified(&offer.channel.scripts, &control.package.name, &control.scripts)
    };
    let mut scripts: Vec<_> = packages.values().flat_map(open).collect();
    scripts.sort_by(|a, b| (&a.package, a.script.kind).cmp(&(&b.package, b.script.kind)));
    if scripts.is_empty() {
        return Ok(());
    }
    Err(ResolveError::Scripts { channel: offer.channel.name.clone(), scripts })
}

fn assemble(
    offer: &Offer,
    wanted: &Wanted,
    plan: &[Chosen],
    packages: &BTreeMap<Checksum, Read>,
    store: &Store,
) -> Result<Lock, ResolveError> {
    let mut locked = Vec::new();
    let mut signers: BTreeSet<&String> = BTreeSet::new();
    for chosen in plan {
        let missing = || ResolveError::NotInIndex { package: file_name(&chosen.package), field: "repository" };
        let read = packages.get(&checksum(&chosen.package)?).ok_or_else(missing)?;
        let opened = offer.repositories.get(read.repository).ok_or_else(missing)?;
        signers.extend(&read.inspected.signers);
        let (file, arch) = (file_name(&chosen.package), &chosen.package.arch);
        let package = read.inspected.locked(&file, &opened.locked.name, arch, read.digests);
        remember(&package, &read.listing, store)?;
        locked.push(package);
    }
    signers.extend(offer.repositories.iter().flat_map(|repository| &repository.signers));
    let fingerprints = &offer.trusted.fingerprints;
    let lock = Lock {
        channel: offer.channel.name.clone(),
        arch: offer.arch.clone(),
        repositories: offer.repositories.iter().map(|repository| repository.locked.clone()).collect(),
        keys: match offer.channel.import {
            Some(_) => BTreeMap::new(),
            None => signers.into_iter().filter_map(|name| Some((name.clone(), *fingerprints.get(name)?))).collect(),
        },
        world: wanted.world.clone(),
        groups: wanted.groups.clone(),
        users: wanted.users.clone(),
        packages: locked,
    };
    match lock.to_string().parse::<Lock>() {
        Ok(_) => Ok(lock),
        Err(source) => Err(ResolveError::Unwritable { source }),
    }
}
