//! The files of a package made of a `.deb`: what the mapping leaves out, adds and changes.

use std::collections::BTreeMap;

use super::deb::{Deb, Entry, Kind};
use super::error::ImportError;
use super::glob;
use super::mapping::{FileRule, Made, Mapping, PackageRule};
use crate::apk::tar;
use crate::config::Directory;

/// The directory with one file per Debian package in distroless images, which scanners read.
const STATUS_DIRECTORY: &str = "var/lib/dpkg/status.d";

/// The files of a package, by path.
pub(super) struct Tree<'a> {
    package: &'a str,
    mapping: &'a Mapping,
    mtime: u64,
    entries: BTreeMap<String, Entry>,
}

impl<'a> Tree<'a> {
    pub(super) fn build(package: &'a str, deb: Deb, mapping: &'a Mapping, mtime: u64) -> Result<Self, ImportError> {
        let mut tree = Self { package, mapping, mtime, entries: BTreeMap::new() };
        let made = tree.made_files(&deb.entries)?;
        tree.entries.extend(
            deb.entries
                .into_iter()
                .filter(|entry| mapping.keeps(package, &entry.path))
                .map(|entry| (entry.path.clone(), entry)),
        );
        tree.entries.extend(made.into_iter().map(|entry| (entry.path.clone(), entry)));
        if let Some(rule) = mapping.rule(package) {
            tree.apply(rule)?;
        }
        let mut control = deb.control.trim_end().to_owned();
        control.push('\n');
        let status = format!("{STATUS_DIRECTORY}/{package}");
        tree.insert(&status, Kind::File(control.into_bytes()), 0o644);
        Ok(tree)
    }

    /// Created before files are left out, because some are made from those.
    fn made_files(&self, entries: &[Entry]) -> Result<Vec<Entry>, ImportError> {
        let rules = self.mapping.rule(self.package).into_iter().flat_map(|rule| &rule.files);
        rules
            .filter_map(|rule| {
                let content = match rule.made.as_ref()? {
                    Made::Content(content) => Ok(content.clone().into_bytes()),
                    Made::Concat { pattern, replace } => self.concat(entries, pattern, replace),
                };
                Some(content.map(|content| Entry {
                    path: relative(rule.path.as_str()).to_owned(),
                    kind: Kind::File(content),
                    ..self.entry()
                }))
            })
            .collect()
    }

    fn concat(
        &self,
        entries: &[Entry],
        pattern: &str,
        replace: &BTreeMap<String, String>,
    ) -> Result<Vec<u8>, ImportError> {
        let mut files: Vec<(&str, &[u8])> = entries
            .iter()
            .filter_map(|entry| match &entry.kind {
                Kind::File(content) if glob::matches(pattern, &entry.path) => Some((&*entry.path, &**content)),
                _ => None,
            })
            .collect();
        if files.is_empty() {
            return Err(self.no_path(pattern));
        }
        files.sort_unstable();
        let mut all = Vec::new();
        for (_, content) in files {
            all.extend_from_slice(content);
            if !all.ends_with(b"\n") {
                all.push(b'\n');
            }
        }
        if replace.is_empty() {
            return Ok(all);
        }
        let mut text = String::from_utf8_lossy(&all).into_owned();
        for (old, new) in replace {
            if !text.contains(old) {
                return Err(self.no_path(&format!("{pattern} with {old:?}")));
            }
            text = text.replace(old, new);
        }
        Ok(text.into_bytes())
    }

    fn apply(&mut self, rule: &PackageRule) -> Result<(), ImportError> {
        for Directory { path, mode, owner, group } in &rule.directories {
            let path = relative(path.as_str());
            if !self.entries.get(path).is_some_and(|entry| entry.kind == Kind::Directory) {
                self.insert(path, Kind::Directory, 0o755);
            }
            self.set(path, mode.bits(), owner, group)?;
        }
        for FileRule { path, mode, owner, group, .. } in &rule.files {
            self.set(relative(path.as_str()), *mode, owner, group)?;
        }
        for link in &rule.links {
            self.insert(relative(link.path.as_str()), Kind::Symlink(link.target.clone()), 0o777);
        }
        Ok(())
    }

    fn set(&mut self, path: &str, mode: u32, owner: &str, group: &str) -> Result<(), ImportError> {
        let missing = self.no_path(path);
        let entry = self.entries.get_mut(path).ok_or(missing)?;
        entry.mode = mode;
        // Unknown names would get the archive's ids, but here there are none.
        (entry.user, entry.uid) = (owner.to_owned(), u64::MAX);
        (entry.group, entry.gid) = (group.to_owned(), u64::MAX);
        Ok(())
    }

    fn insert(&mut self, path: &str, kind: Kind, mode: u32) {
        self.entries.insert(path.to_owned(), Entry { path: path.to_owned(), kind, mode, ..self.entry() });
    }

    /// An incomplete entry owned by root.
    fn entry(&self) -> Entry {
        Entry {
            path: String::new(),
            kind: Kind::Directory,
            mode: 0o644,
            uid: 0,
            gid: 0,
            user: "root".to_owned(),
            group: "root".to_owned(),
            mtime: self.mtime,
        }
    }

    /// Directories come first, so that real ones precede links to them; each kind is sorted by path.
    pub(super) fn into_entries(mut self) -> Result<Vec<(tar::Entry, Vec<u8>)>, ImportError> {
        self.order_hardlinks()?;
        let entries = std::mem::take(&mut self.entries);
        let (directories, others): (Vec<_>, Vec<_>) =
            entries.into_values().partition(|entry| entry.kind == Kind::Directory);
        directories.into_iter().chain(others).map(|entry| self.pack(entry)).collect()
    }

    fn pack(&self, entry: Entry) -> Result<(tar::Entry, Vec<u8>), ImportError> {
        let uid = self.number("user", &entry.path, &entry.user, entry.uid, &self.mapping.users)?;
        let gid = self.number("group", &entry.path, &entry.group, entry.gid, &self.mapping.groups)?;
        let (kind, content) = match entry.kind {
            Kind::Directory => (tar::EntryKind::Directory, Vec::new()),
            Kind::File(content) => (tar::EntryKind::File, content),
            Kind::Symlink(target) => (tar::EntryKind::Symlink(target.into_bytes()), Vec::new()),
            Kind::Hardlink(target) => (tar::EntryKind::Hardlink(target.into_bytes()), Vec::new()),
        };
        let packed = tar::Entry {
            uid,
            gid,
            user: entry.user,
            group: entry.group,
            size: content.len() as u64,
            mtime: entry.mtime.cast_signed(),
            ..tar::Entry::new(entry.path, kind, entry.mode)
        };
        Ok((packed, content))
    }

    /// The id of an owner: the mapping's, or the archive's if base-passwd fixes it.
    fn number(
        &self,
        kind: &'static str,
        path: &str,
        name: &str,
        archived: u64,
        known: &BTreeMap<String, u32>,
    ) -> Result<u32, ImportError> {
        if let Some(number) = known.get(name) {
            return Ok(*number);
        }
        match u32::try_from(archived) {
            _ if name == "root" => Ok(0),
            Ok(archived) if archived < 100 => Ok(archived),
            _ => Err(ImportError::NoAccount {
                package: self.package.to_owned(),
                path: path.to_owned(),
                kind,
                name: name.to_owned(),
            }),
        }
    }

    /// Of several names of a file, the first by path gets the content.
    fn order_hardlinks(&mut self) -> Result<(), ImportError> {
        let mut names: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (path, entry) in &self.entries {
            if let Kind::Hardlink(target) = &entry.kind {
                names.entry(target.clone()).or_default().push(path.clone());
            }
        }
        for (target, links) in names {
            let missing = self.no_path(&target);
            let Some(file) = self.entries.get(&target).filter(|entry| matches!(entry.kind, Kind::File(_))) else {
                return Err(missing);
            };
            let file = file.clone();
            let mut paths: Vec<String> = links.into_iter().chain([target]).collect();
            paths.sort();
            let Some((first, others)) = paths.split_first() else { continue };
            for other in others {
                let kind = Kind::Hardlink(first.clone());
                self.entries.insert(other.clone(), Entry { path: other.clone(), kind, ..file.clone() });
            }
            self.entries.insert(first.clone(), Entry { path: first.clone(), ..file });
        }
        Ok(())
    }

    fn no_path(&self, path: &str) -> ImportError {
        ImportError::NoPath { package: self.package.to_owned(), path: path.to_owned() }
    }
}

fn relative(path: &str) -> &str {
    path.strip_prefix('/').unwrap_or(path)
}
