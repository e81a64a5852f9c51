use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;

use super::hold::{Held, plan_update};
use super::inspect::{Inspected, NOARCH, Trust, file_name, inspect};
use super::offer::Chosen;
use super::scripts::unclassified;
use super::{Lock, LockError, Offer, Place, Wanted};
use crate::apk::{Checksum, Package};
use crate::digest::Sha256;
use crate::fetch::{Client, Progress, Request, Size};
use crate::store::{Entry, Store};

/// An image to lock, and what is locked of it so far.
#[derive(Debug)]
pub struct Order<'a> {
    /// What it asks for.
    pub wanted: Wanted,
    /// Its lock until now.
    pub old: Option<&'a Lock>,
    /// Whether the packages of the old lock keep their versions, and if so, which ones don't.
    pub update: Option<&'a BTreeSet<String>>,
}

/// Solves each order, fetches the packages into the store, verifies and reads them, and returns the locks in the orders'
/// order.
pub async fn make(
    offer: &Offer,
    orders: &[Order<'_>],
    client: &Client,
    progress: &dyn Progress,
) -> Result<Vec<Lock>, LockError> {
    let plans = orders.iter().map(|order| plan(offer, order)).collect::<Result<Vec<_>, _>>()?;
    let mut unique = BTreeMap::new();
    for chosen in plans.iter().flatten() {
        unique.insert(checksum(&chosen.package)?, chosen);
    }
    let packages = read_packages(offer, unique, client, progress).await?;
    classify(offer, &packages)?;
    plans.iter().zip(orders).map(|(plan, order)| assemble(offer, &order.wanted, plan, &packages)).collect()
}

fn plan(offer: &Offer, order: &Order<'_>) -> Result<Vec<Chosen>, LockError> {
    match (order.old, order.update) {
        (Some(old), Some(update)) => plan_update(offer, &order.wanted, old, update),
        _ => offer.plan(&order.wanted, &Held::new()),
    }
}

fn checksum(package: &Package) -> Result<Checksum, LockError> {
    package.checksum.ok_or_else(|| LockError::NotInIndex { package: file_name(package), field: "checksum" })
}

fn size(package: &Package) -> Result<u64, LockError> {
    package.file_size.ok_or_else(|| LockError::NotInIndex { package: file_name(package), field: "size" })
}

/// What the store calls the file of which an index says checksum and size.
fn question(package: &Package) -> Result<Sha256, LockError> {
    let (checksum, size) = (checksum(package)?, size(package)?);
    Ok(Sha256::of(format!("which package file has this checksum and size? v1\n{checksum} {size}\n")))
}

/// A package and the place that it was read from.
struct Read {
    repository: usize,
    inspected: Inspected,
}

async fn read_packages(
    offer: &Offer,
    unique: BTreeMap<Checksum, &Chosen>,
    client: &Client,
    progress: &dyn Progress,
) -> Result<BTreeMap<Checksum, Read>, LockError> {
    let request = |chosen: &&Chosen| request(offer, chosen, client.store());
    let requests = unique.values().map(request).collect::<Result<Vec<_>, _>>()?;
    let entries = client.fetch_all(&requests, progress).await?;
    let fetched: Vec<_> = unique.into_iter().zip(entries).collect();
    let read = |((checksum, chosen), entry): ((Checksum, &Chosen), Entry)| {
        let inspected = verify(offer, &chosen.package, &entry)?;
        client.store().remember(&question(&chosen.package)?, &entry.digest)?;
        Ok((checksum, Read { repository: chosen.repository, inspected }))
    };
    fetched.into_par_iter().map(read).collect()
}

fn request(offer: &Offer, chosen: &Chosen, store: &Store) -> Result<Request, LockError> {
    let (package, name) = (&chosen.package, file_name(&chosen.package));
    let size = size(package)?;
    let known = store.recall(&question(package)?).filter(|digest| store.find_sized(digest, size).is_some());
    let opened = offer
        .repositories
        .get(chosen.repository)
        .ok_or_else(|| LockError::NotInIndex { package: name.clone(), field: "repository" })?;
    let location = opened.source.file(&offer.arch, &name);
    Ok(Request { name, location, size: Size::Exactly(size), digest: known })
}

/// Reads a fetched package and compares it with what the index says of it.
fn verify(offer: &Offer, indexed: &Package, entry: &Entry) -> Result<Inspected, LockError> {
    let name = file_name(indexed);
    let keyring = &offer.trusted.keyring;
    let trust = if offer.channel.import.is_some() { Trust::ByIndex(keyring) } else { Trust::Signed(keyring) };
    let inspected = inspect(&entry.path, &name, trust)?;
    let package = &inspected.control.package;
    for (field, expected, found) in [
        ("checksum", checksum(indexed)?.to_string(), inspected.measured.checksum.to_string()),
        ("name", indexed.name.clone(), package.name.clone()),
        ("version", indexed.version.to_string(), package.version.to_string()),
        ("architecture", indexed.arch.clone(), package.arch.clone()),
    ] {
        if expected != found && found != NOARCH {
            return Err(LockError::NotAsIndexed { package: name, field, expected, found });
        }
    }
    Ok(inspected)
}

/// Fails if there are scripts of which nobody has said what becomes of them.
fn classify(offer: &Offer, packages: &BTreeMap<Checksum, Read>) -> Result<(), LockError> {
    let open = |read: &Read| {
        let control = &read.inspected.control;
        unclassified(&offer.channel.scripts, &control.package.name, &control.scripts)
    };
    let mut scripts: Vec<_> = packages.values().flat_map(open).collect();
    scripts.sort_by(|a, b| (&a.package, a.script.kind).cmp(&(&b.package, b.script.kind)));
    if scripts.is_empty() {
        return Ok(());
    }
    Err(LockError::Scripts { channel: offer.channel.name.clone(), scripts })
}

fn assemble(
    offer: &Offer,
    wanted: &Wanted,
    plan: &[Chosen],
    packages: &BTreeMap<Checksum, Read>,
) -> Result<Lock, LockError> {
    let mut locked = Vec::new();
    let mut signers: BTreeSet<&String> = BTreeSet::new();
    for chosen in plan {
        let missing = || LockError::NotInIndex { package: file_name(&chosen.package), field: "repository" };
        let read = packages.get(&checksum(&chosen.package)?).ok_or_else(missing)?;
        let opened = offer.repositories.get(read.repository).ok_or_else(missing)?;
        signers.extend(&read.inspected.signers);
        locked.push(read.inspected.locked(&file_name(&chosen.package), &opened.locked.name, &chosen.package.arch));
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
        Err(source) => Err(LockError::Unwritable { source }),
    }
}

impl Lock {
    /// Refuses what a lock should not do unless told to: go back to an older index or to older packages.
    pub fn refuse_going_back(&self, old: &Self, image: &str) -> Result<(), LockError> {
        for (was, is) in old.repositories.iter().zip(&self.repositories).filter(|(was, is)| was.name == is.name) {
            if let (Place::Shared { date: locked, url, .. }, Place::Shared { date: found, url: now, .. }) =
                (&was.place, &is.place)
                && url == now
                && found < locked
            {
                return Err(LockError::OlderIndex { repository: is.name.clone(), locked: *locked, found: *found });
            }
        }
        let changes: Vec<_> = super::changes(old, self).into_iter().filter(super::Change::is_downgrade).collect();
        if changes.is_empty() {
            return Ok(());
        }
        Err(LockError::Downgrade { image: image.to_owned(), changes })
    }
}
