use std::collections::BTreeMap;
use std::fmt;

use super::{Edition, Lock, LockedPackage, Place};

/// A difference between two locks of the same image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    Added {
        name: String,
        version: Edition,
    },
    /// A package is no longer needed.
    Removed {
        name: String,
        version: Edition,
    },
    /// A package changes its version.
    Moved {
        name: String,
        from: Edition,
        to: Edition,
    },
    /// A package has the same version but different bytes.
    Rebuilt {
        name: String,
        version: Edition,
    },
    /// A package's script is new, changed or gone.
    Script {
        package: String,
        script: String,
    },
    /// Something other than a package: repositories, keys, accounts, world, order.
    Other(&'static str),
}

impl Change {
    /// Changes of packages by name, then all others.
    fn order(&self) -> (bool, &str) {
        match self {
            Self::Added { name, .. }
            | Self::Removed { name, .. }
            | Self::Moved { name, .. }
            | Self::Rebuilt { name, .. }
            | Self::Script { package: name, .. } => (false, name),
            Self::Other(what) => (true, what),
        }
    }

    /// Whether a package is downgraded.
    #[must_use]
    pub fn is_downgrade(&self) -> bool {
        matches!(self, Self::Moved { from, to, .. } if to.version < from.version)
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added { name, version } => write!(f, "+ {name} {version}"),
            Self::Removed { name, version } => write!(f, "- {name} {version}"),
            Self::Moved { name, from, to } => {
                write!(f, "  {name} {from} -> {to}")?;
                if self.is_downgrade() { f.write_str(" (older)") } else { Ok(()) }
            }
            Self::Rebuilt { name, version } => write!(f, "~ {name} {version} (same version, different bytes)"),
            Self::Script { package, script } => write!(f, "! {package} {script} (script changed: read it)"),
            Self::Other(what) => write!(f, "~ {what}"),
        }
    }
}

/// The changes of several locks, each once, with the names of the images whose locks it is in. Sorted by package.
#[must_use]
pub fn across<'a>(locks: impl IntoIterator<Item = (&'a str, Vec<Change>)>) -> Vec<(Change, Vec<&'a str>)> {
    let mut merged: Vec<(Change, Vec<&str>)> = Vec::new();
    for (image, changes) in locks {
        for change in changes {
            match merged.iter_mut().find(|(known, _)| *known == change) {
                Some((_, images)) => images.push(image),
                None => merged.push((change, vec![image])),
            }
        }
    }
    merged.sort_by(|(a, _), (b, _)| a.order().cmp(&b.order()));
    merged
}

/// The changes from `old` to `new`. A new index with the same versions of these packages is not a change: most of
/// Alpine's indexes change every day.
#[must_use]
pub fn changes(old: &Lock, new: &Lock) -> Vec<Change> {
    let (old_by_name, new_by_name) = (by_name(old), by_name(new));
    let mut changes = Vec::new();
    for (name, was) in &old_by_name {
        let (name, version) = ((*name).to_owned(), was.edition());
        if !new_by_name.contains_key(name.as_str()) {
            changes.push(Change::Removed { name, version });
        }
    }
    for (name, is) in &new_by_name {
        let (name, version) = ((*name).to_owned(), is.edition());
        match old_by_name.get(name.as_str()) {
            None => changes.push(Change::Added { name, version }),
            Some(was) if was.edition() != version => {
                changes.push(Change::Moved { name, from: was.edition(), to: version });
                changes.extend(scripts(was, is));
            }
            Some(was) if was != is => {
                changes.push(Change::Rebuilt { name, version });
                changes.extend(scripts(was, is));
            }
            Some(_) => {}
        }
    }
    changes.extend(others(old, new, changes.is_empty()));
    changes
}

fn others(old: &Lock, new: &Lock, same_packages: bool) -> Vec<Change> {
    let order = |lock: &Lock| lock.packages.iter().map(|package| package.name.clone()).collect::<Vec<_>>();
    let differs = [
        ("channel", old.channel != new.channel || old.arch != new.arch),
        ("world", old.world != new.world),
        ("repositories", !places(old).eq(places(new))),
        ("keys", old.keys != new.keys),
        ("accounts", old.groups != new.groups || old.users != new.users),
        ("order of installation", same_packages && order(old) != order(new)),
    ];
    differs.into_iter().filter(|(_, differs)| *differs).map(|(what, _)| Change::Other(what)).collect()
}

/// The repositories of a lock, without the state of their indexes.
fn places(lock: &Lock) -> impl Iterator<Item = (&str, Option<(&str, Option<&str>)>)> {
    lock.repositories.iter().map(|repository| match &repository.place {
        Place::Shared { url, tag, .. } => (repository.name.as_str(), Some((url.as_str(), tag.as_deref()))),
        Place::Imported(_) => (repository.name.as_str(), None),
    })
}

fn by_name(lock: &Lock) -> BTreeMap<&str, &LockedPackage> {
    lock.packages.iter().map(|package| (package.name.as_str(), package)).collect()
}

fn scripts(was: &LockedPackage, is: &LockedPackage) -> Vec<Change> {
    let other = |a: &LockedPackage, b: &LockedPackage| {
        a.scripts.iter().filter(|script| !b.scripts.contains(script)).map(|script| script.name.clone()).collect()
    };
    let mut names: Vec<String> = other(was, is);
    names.extend::<Vec<_>>(other(is, was));
    names.sort();
    names.dedup();
    names.into_iter().map(|script| Change::Script { package: is.name.clone(), script }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apk::Version;
    use crate::lock::text::tests::lock;

    fn shown(change: impl FnOnce(&mut Lock)) -> Vec<String> {
        let (old, mut new) = (lock(), lock());
        change(&mut new);
        changes(&old, &new).iter().map(ToString::to_string).collect()
    }

    fn package<'a>(lock: &'a mut Lock, name: &str) -> &'a mut LockedPackage {
        lock.packages.iter_mut().find(|package| package.name == name).unwrap()
    }

    #[test]
    fn every_kind_of_change_is_named() {
        assert_eq!(shown(|_| {}), Vec::<String>::new());
        assert_eq!(
            shown(|new| package(new, "musl").version = Version::any("1.2.6-r0")),
            ["  musl 1.2.5-r9 -> 1.2.6-r0"]
        );
        assert_eq!(
            shown(|new| package(new, "musl").version = Version::any("1.2.4-r0")),
            ["  musl 1.2.5-r9 -> 1.2.4-r0 (older)"]
        );
        assert_eq!(shown(|new| package(new, "musl").size += 1), ["~ musl 1.2.5-r9 (same version, different bytes)"]);
        assert_eq!(
            shown(|new| package(new, "musl").scripts.clear()),
            ["~ musl 1.2.5-r9 (same version, different bytes)", "! musl post-install (script changed: read it)"]
        );
        assert_eq!(
            shown(|new| package(new, "musl").name = "musl-ng".to_owned()),
            ["- musl 1.2.5-r9", "+ musl-ng 1.2.5-r9"]
        );
        assert_eq!(shown(|new| new.packages.reverse()), ["~ order of installation"]);
        assert_eq!(shown(|new| new.world.truncate(1)), ["~ world"]);
        assert_eq!(shown(|new| new.users.clear()), ["~ accounts"]);
        assert_eq!(shown(|new| new.keys.clear()), ["~ keys"]);
        assert_eq!(shown(|new| new.repositories.clear()), ["~ repositories"]);
    }

    #[test]
    fn an_imported_package_has_the_version_that_debian_gives_it() {
        let deb = |version: &str| crate::lock::Deb {
            name: "musl".to_owned(),
            version: version.to_owned(),
            sha256: crate::digest::Sha256::of(version),
        };
        let (mut old, mut new) = (lock(), lock());
        package(&mut old, "musl").debs = vec![deb("1:1.2.5-4+deb13u1")];
        package(&mut new, "musl").debs = vec![deb("1:1.2.5-4+deb13u2")];
        package(&mut new, "musl").version = Version::any("1.2.5-r4000200");
        let changes = changes(&old, &new);
        assert_eq!(
            changes.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["  musl 1:1.2.5-4+deb13u1 -> 1:1.2.5-4+deb13u2"]
        );
        assert!(!changes[0].is_downgrade());
    }

    #[test]
    fn what_changes_in_several_locks_is_named_once() {
        let (old, mut new, mut other) = (lock(), lock(), lock());
        package(&mut new, "musl").version = Version::any("1.2.6-r0");
        package(&mut other, "musl").version = Version::any("1.2.6-r0");
        package(&mut other, "busybox").version = Version::any("1.38.0-r0");
        other.keys.clear();
        let all = [("web", changes(&old, &new)), ("mail", changes(&old, &other)), ("idle", changes(&old, &old))];
        let merged = across(all);
        let shown: Vec<_> = merged.iter().map(|(change, images)| (change.to_string(), images.as_slice())).collect();
        assert_eq!(
            shown,
            [
                ("  busybox 1.37.0-r12 -> 1.38.0-r0".to_owned(), &["mail"][..]),
                ("  musl 1.2.5-r9 -> 1.2.6-r0".to_owned(), &["web", "mail"]),
                ("~ keys".to_owned(), &["mail"]),
            ]
        );
    }

    #[test]
    fn an_index_that_moved_on_is_no_change() {
        let index = |new: &mut Lock| {
            for repository in &mut new.repositories {
                if let Place::Shared { date, .. } = &mut repository.place {
                    *date = crate::timestamp::Timestamp::from_unix(1_800_000_000);
                }
            }
        };
        assert_eq!(shown(index), Vec::<String>::new());
    }
}
