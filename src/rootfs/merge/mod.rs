//! Merges packages into one tree, by apk's rules.
//!
//! Each rule was observed on apk 2.14.0, with packages made for the purpose:
//!
//! - A directory in several packages belongs to the smallest (uid, gid) among its owners; its mode keeps the bits that
//!   all packages with that owner set. The order of packages doesn't matter. Directories that apk creates before it
//!   unpacks anything keep apk's mode.
//! - An owner's name counts if `etc/passwd` (for groups, `etc/group`) of an earlier package contains it; otherwise the
//!   id.
//! - If two packages have the same file, the later one wins if both have the same origin or if it `replaces` the
//!   earlier one, unless the earlier one replaces it with a higher `replaces_priority`. If only the earlier one
//!   replaces the later one, it keeps the file. Otherwise it is an error; for us, only if the files differ.
//! - If a package has a directory where another has a link to a directory, its files go where the link leads.
//! - Entries with a leading dot (`.dummy`) are not installed.

use std::collections::{HashMap, HashSet};

use super::accounts::Accounts;
use super::tree::{Bearer, Content, Node, NodeKind, PackageId, Source, Tree};
use super::{PathError, RootfsError, TreePath};
use crate::apk::Checksum;
use crate::apk::package::{EntryId, PackageEntry, PackageFiles, READ_LIMIT, is_read};
use crate::apk::tar::{Entry, EntryKind};
use crate::table::Table;

/// The directories that apk creates before it unpacks the first package, with their modes.
const SKELETON: [(&str, u32); 12] = [
    ("dev", 0o755),
    ("etc", 0o755),
    ("etc/apk", 0o755),
    ("lib", 0o755),
    ("lib/apk", 0o755),
    ("lib/apk/db", 0o755),
    ("proc", 0o555),
    ("tmp", 0o1777),
    ("var", 0o755),
    ("var/cache", 0o755),
    ("var/cache/apk", 0o755),
    ("var/cache/misc", 0o755),
];

/// The merged tree of some packages, and what each contributed.
#[derive(Debug, Clone)]
pub struct Merged {
    pub tree: Tree,
    /// The packages, in install order.
    pub packages: Table<PackageId, MergedPackage>,
}

/// A package that has been merged.
#[derive(Debug, Clone)]
pub struct MergedPackage {
    pub files: PackageFiles,
    /// Its part of the tree, and of the installed database.
    pub owned: Owned,
}

/// A package's part of the merged tree, in the order of its data archive.
#[derive(Debug, Clone, Default)]
pub struct Owned {
    /// Its directories, with its own modes and owners.
    pub directories: Vec<OwnedPath>,
    /// Its files, links and pipes, except those taken over by another package.
    pub files: Vec<OwnedPath>,
}

/// A path in the installed database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedPath {
    /// The path in the package, before other packages' links are followed.
    pub declared: TreePath,
    /// The path in the tree.
    pub actual: TreePath,
    /// The entry of the package's data archive.
    pub entry: EntryId,
    /// The package's entry, with its owner resolved. A hard link has the attributes of its file.
    pub node: Node,
}

impl OwnedPath {
    /// The entry that holds the content: of a hard link that of the file which it names, else its own.
    #[must_use]
    pub fn content(&self) -> EntryId {
        self.node.source().map_or(self.entry, |source| source.entry)
    }
}

/// Merges `packages`, in install order. `accounts` exist before the first one.
pub fn merge(packages: Vec<PackageFiles>, accounts: &Accounts) -> Result<Merged, RootfsError> {
    let packages = Table::from(packages);
    let mut merger = Merger {
        packages: &packages,
        accounts: accounts.clone(),
        tree: Tree::default(),
        owned: Table::filled(Owned::default(), packages.len()),
        owner_of: HashMap::new(),
        claims: HashMap::new(),
    };
    for package in packages.ids() {
        merger.add(package)?;
    }
    let (tree, owned) = merger.finish()?;
    let packages = packages.into_items().into_iter().zip(owned.into_items());
    Ok(Merged { tree, packages: packages.map(|(files, owned)| MergedPackage { files, owned }).collect() })
}

struct Merger<'a> {
    packages: &'a Table<PackageId, PackageFiles>,
    accounts: Accounts,
    tree: Tree,
    owned: Table<PackageId, Owned>,
    /// The package of each file, link and pipe in the tree.
    owner_of: HashMap<TreePath, PackageId>,
    /// The packages' claims on each directory in the tree.
    claims: HashMap<TreePath, Vec<Claim>>,
}

/// The mode and owner that a package sets for a directory.
#[derive(Debug, Clone, Copy)]
struct Claim {
    package: PackageId,
    mode: u32,
    uid: u32,
    gid: u32,
}

/// The state of the package whose entries are being added.
struct Current<'a> {
    id: PackageId,
    files: &'a PackageFiles,
    /// Its directories: declared path → path in the tree.
    directories: HashMap<TreePath, TreePath>,
    /// Its files that are installed, by their path as declared.
    contents: HashSet<TreePath>,
    owned: Owned,
}

impl Current<'_> {
    fn title(&self) -> String {
        self.files.title()
    }
}

impl<'a> Merger<'a> {
    fn add(&mut self, id: PackageId) -> Result<(), RootfsError> {
        let packages = self.packages;
        let files = &packages[id];
        let (directories, contents, owned) = (HashMap::new(), HashSet::new(), Owned::default());
        let mut current = Current { id, files, directories, contents, owned };
        for (index, entry) in files.entries.iter() {
            if is_hidden(&entry.header.path) {
                continue;
            }
            let path = checked_path(files, &entry.header)?;
            if entry.header.kind == EntryKind::File && is_read(&entry.header.path) && entry.content.is_none() {
                return Err(RootfsError::TooLarge { package: files.title(), path, limit: READ_LIMIT });
            }
            if entry.header.kind == EntryKind::Directory {
                self.add_directory(&mut current, index, entry, &path)?;
            } else {
                self.add_file(&mut current, index, entry, path)?;
            }
        }
        // There is one of these per package until the image is done.
        current.owned.files.shrink_to_fit();
        current.owned.directories.shrink_to_fit();
        self.owned[id] = current.owned;
        // These count from the next package on, because apk puts files in place only at the end of a package.
        for entry in files.entries.items() {
            self.accounts.read(&entry.header.path, entry.content.as_deref().unwrap_or_default());
        }
        Ok(())
    }

    fn add_directory(
        &mut self,
        current: &mut Current<'a>,
        index: EntryId,
        entry: &PackageEntry,
        declared: &TreePath,
    ) -> Result<(), RootfsError> {
        let node = self.node(current, index, entry)?;
        let claim = Claim { package: current.id, mode: node.mode, uid: node.uid, gid: node.gid };
        let place = self.place_directory(current, declared)?;
        let actual = match self.tree.get(&place).map(|there| &there.kind) {
            None => {
                self.tree.insert(place.clone(), node.clone());
                self.claim(place, claim)
            }
            Some(NodeKind::Directory) => self.claim(place, claim),
            Some(NodeKind::Symlink(_)) => self.behind_link(current, declared, &place)?,
            Some(_) => {
                return Err(RootfsError::KindClash {
                    directory: current.title(),
                    other: self.title_of(&place),
                    path: place,
                });
            }
        };
        let again = current.directories.insert(declared.clone(), actual.clone()).is_some();
        let record = OwnedPath { declared: declared.clone(), actual, entry: index, node };
        match current.owned.directories.iter_mut().find(|it| again && it.declared == record.declared) {
            Some(earlier) => *earlier = record,
            None => current.owned.directories.push(record),
        }
        Ok(())
    }

    /// Records a package's claim on a directory, replacing an earlier one.
    fn claim(&mut self, path: TreePath, claim: Claim) -> TreePath {
        let claims = self.claims.entry(path.clone()).or_default();
        claims.retain(|earlier| earlier.package != claim.package);
        claims.push(claim);
        path
    }

    /// The place of a directory whose parent may come from an earlier package.
    fn place_directory(&self, current: &Current<'a>, declared: &TreePath) -> Result<TreePath, RootfsError> {
        let Some(parent) = declared.parent() else { return Ok(declared.clone()) };
        if current.directories.contains_key(&parent) {
            return self.place_file(current, declared);
        }
        let missing = || RootfsError::NoDirectory { package: current.title(), path: declared.clone() };
        if let Some(link) = self.own_link_above(current, declared) {
            return Err(RootfsError::ThroughLink { package: current.title(), path: declared.clone(), link });
        }
        let parent = self.tree.resolve(&parent).ok_or_else(missing)?;
        if !self.tree.get(&parent).is_some_and(Node::is_directory) {
            return Err(missing());
        }
        Ok(TreePath::join(Some(&parent), declared.name()))
    }

    /// The directory that the link at `place` leads to.
    fn behind_link(
        &self,
        current: &Current<'a>,
        declared: &TreePath,
        place: &TreePath,
    ) -> Result<TreePath, RootfsError> {
        if self.owner_of.get(place) == Some(&current.id) {
            let (package, path) = (current.title(), declared.clone());
            return Err(RootfsError::ThroughLink { package, link: path.clone(), path });
        }
        match self.tree.resolve(place) {
            Some(target) if self.tree.get(&target).is_some_and(Node::is_directory) => Ok(target),
            _ => Err(RootfsError::DanglingLink {
                package: current.title(),
                path: declared.clone(),
                other: self.title_of(place),
            }),
        }
    }

    fn add_file(
        &mut self,
        current: &mut Current<'a>,
        index: EntryId,
        entry: &PackageEntry,
        declared: TreePath,
    ) -> Result<(), RootfsError> {
        let actual = self.place_file(current, &declared)?;
        let node = self.node(current, index, entry)?;
        if !self.takes(current, &actual, &node)? {
            return Ok(());
        }
        if let Some(other) = self.owner_of.insert(actual.clone(), current.id) {
            self.owned[other].files.retain(|file| file.actual != actual);
        }
        if node.source().is_some() {
            current.contents.insert(declared.clone());
        }
        self.tree.insert(actual.clone(), node.clone());
        current.owned.files.push(OwnedPath { declared, actual, entry: index, node });
        Ok(())
    }

    fn place(current: &Current<'a>, declared: &TreePath) -> Result<TreePath, RootfsError> {
        let Some(parent) = declared.parent() else { return Ok(declared.clone()) };
        match current.directories.get(&parent) {
            Some(actual) if *actual == parent => Ok(declared.clone()),
            Some(actual) => Ok(TreePath::join(Some(actual), declared.name())),
            None => Err(RootfsError::NoDirectory { package: current.title(), path: declared.clone() }),
        }
    }

    fn place_file(&self, current: &Current<'a>, declared: &TreePath) -> Result<TreePath, RootfsError> {
        Self::place(current, declared).map_err(|error| match self.own_link_above(current, declared) {
            Some(link) => RootfsError::ThroughLink { package: current.title(), path: declared.clone(), link },
            None => error,
        })
    }

    /// The package's own link above `path`, if there is one.
    fn own_link_above(&self, current: &Current<'a>, path: &TreePath) -> Option<TreePath> {
        std::iter::successors(path.parent(), TreePath::parent).find(|above| {
            let is_link = |node: &Node| matches!(node.kind, NodeKind::Symlink(_));
            self.owner_of.get(above) == Some(&current.id) && self.tree.get(above).is_some_and(is_link)
        })
    }

    /// Whether the current package gets the path, given what is already there.
    fn takes(&self, current: &Current<'a>, path: &TreePath, node: &Node) -> Result<bool, RootfsError> {
        let Some(there) = self.tree.get(path) else { return Ok(true) };
        if there.is_directory() {
            return Err(RootfsError::KindClash {
                directory: self.title_of(path),
                other: current.title(),
                path: path.clone(),
            });
        }
        let Some(&owner) = self.owner_of.get(path) else { return Ok(true) };
        if owner == current.id {
            return Err(RootfsError::Duplicate { package: current.title(), path: path.clone() });
        }
        let other = &self.packages[owner];
        match contest(other, current.files) {
            Contest::Later => Ok(true),
            Contest::Earlier => Ok(false),
            Contest::Neither if self.same_file(there, node) => Ok(false),
            Contest::Neither => {
                Err(RootfsError::Conflict { first: other.title(), second: current.title(), path: path.clone() })
            }
        }
    }

    /// Whether two packages contain the same thing. Files are the same if their headers contain the same checksum;
    /// without checksums they never are.
    fn same_file(&self, a: &Node, b: &Node) -> bool {
        let kinds = match (&a.kind, &b.kind) {
            (NodeKind::File { size, .. }, NodeKind::File { size: other, .. }) => {
                let checksum = self.checksum(a);
                size == other && checksum.is_some() && checksum == self.checksum(b)
            }
            (a, b) => a == b,
        };
        kinds && (a.mode, a.uid, a.gid, &a.xattrs) == (b.mode, b.uid, b.gid, &b.xattrs)
    }

    /// The SHA-1 of a package's file, if its header contains it.
    fn checksum(&self, node: &Node) -> Option<Checksum> {
        let Source { package, entry } = node.source()?;
        self.packages[package].entries[entry].header.checksum
    }

    /// The node for an entry, if it is allowed.
    fn node(&self, current: &Current<'a>, index: EntryId, entry: &PackageEntry) -> Result<Node, RootfsError> {
        let header = &entry.header;
        let mut node = Node {
            kind: NodeKind::Fifo,
            mode: header.mode,
            uid: self.accounts.uid(&header.user).unwrap_or(header.uid),
            gid: self.accounts.gid(&header.group).unwrap_or(header.gid),
            mtime: header.mtime,
            xattrs: header.xattrs.clone(),
            bearer: Bearer::Package(current.id),
        };
        node.kind = match &header.kind {
            EntryKind::Directory => NodeKind::Directory,
            EntryKind::Fifo => NodeKind::Fifo,
            EntryKind::File => NodeKind::File {
                size: header.size,
                content: Content::Package(Source { package: current.id, entry: index }),
            },
            EntryKind::Symlink(target) => {
                // Linux ignores modes of links; archives contain whatever the packager's umask made of them.
                node.mode = 0o777;
                NodeKind::Symlink(target.clone())
            }
            EntryKind::Hardlink(target) => return self.hardlink(current, header, target),
            EntryKind::CharDevice(_) | EntryKind::BlockDevice(_) => {
                let path = checked_path(current.files, header)?;
                return Err(RootfsError::Kind { package: current.title(), path, kind: "a device node" });
            }
        };
        Ok(node)
    }

    /// A further name of a file, with all of that file's properties.
    fn hardlink(&self, current: &Current<'a>, header: &Entry, target: &[u8]) -> Result<Node, RootfsError> {
        let of = TreePath::new(target).ok().filter(|target| current.contents.contains(target));
        let node = of.and_then(|target| {
            let actual = Self::place(current, &target).ok()?;
            self.tree.get(&actual).cloned()
        });
        match node {
            Some(node) => Ok(node),
            None => Err(RootfsError::HardlinkTarget {
                package: current.title(),
                path: checked_path(current.files, header)?,
                target: String::from_utf8_lossy(target).chars().take(200).collect(),
            }),
        }
    }

    fn title_of(&self, path: &TreePath) -> String {
        let bearer = match self.owner_of.get(path) {
            Some(owner) => Some(Bearer::Package(*owner)),
            None => self.tree.get(path).map(|node| node.bearer),
        };
        match bearer {
            Some(Bearer::Package(package)) => self.packages[package].title(),
            Some(Bearer::Image) | None => "apk itself".to_owned(),
        }
    }

    /// Settles the modes and owners of directories, and adds those that apk always creates.
    fn finish(mut self) -> Result<(Tree, Table<PackageId, Owned>), RootfsError> {
        for (path, node) in self.tree.nodes_mut() {
            if let Some(claims) = self.claims.get(path) {
                settle(path, node, claims);
            }
        }
        for (path, mode) in SKELETON {
            if let Ok(path) = TreePath::new(path) {
                make_directories(&mut self.tree, &path, mode, 0)?;
            }
        }
        Ok((self.tree, self.owned))
    }
}

/// Creates the directory `path`, and missing parents with mode 0755, following existing links.
///
/// Returns its resolved path. Existing directories are unchanged.
pub(super) fn make_directories(
    tree: &mut Tree,
    path: &TreePath,
    mode: u32,
    mtime: i64,
) -> Result<TreePath, RootfsError> {
    let clash = |path: &TreePath| RootfsError::RecipeClash {
        what: "directory",
        path: path.clone(),
        found: "something else".to_owned(),
    };
    let actual = tree.resolve(path).ok_or_else(|| clash(path))?;
    if let Some(parent) = actual.parent() {
        make_directories(tree, &parent, 0o755, mtime)?;
    }
    match tree.get(&actual) {
        None => tree.insert(actual.clone(), Node::directory(mode, mtime)),
        Some(node) if node.is_directory() => {}
        Some(_) => return Err(clash(&actual)),
    }
    Ok(actual)
}

/// Sets a directory's mode and owner from all packages' claims.
fn settle(path: &TreePath, node: &mut Node, claims: &[Claim]) {
    if let Some((_, mode)) = SKELETON.iter().find(|(pinned, _)| pinned.as_bytes() == path.as_bytes()) {
        (node.mode, node.uid, node.gid) = (*mode, 0, 0);
        return;
    }
    let Some((mode, uid, gid)) = agreed(claims.iter().map(|claim| (claim.mode, claim.uid, claim.gid))) else { return };
    (node.mode, node.uid, node.gid) = (mode, uid, gid);
}

/// The mode and owner of a directory, given the packages' claims as (mode, uid, gid).
pub fn agreed(claims: impl Iterator<Item = (u32, u32, u32)> + Clone) -> Option<(u32, u32, u32)> {
    let owner = claims.clone().map(|(_, uid, gid)| (uid, gid)).min()?;
    let mode = claims.filter(|(_, uid, gid)| (*uid, *gid) == owner).fold(0o7777, |all, (mode, ..)| all & mode);
    Some((mode, owner.0, owner.1))
}

/// Which of two packages gets a file that both contain.
enum Contest {
    Earlier,
    Later,
    Neither,
}

fn contest(earlier: &PackageFiles, later: &PackageFiles) -> Contest {
    let (first, second) = (earlier.package(), later.package());
    if first.name == second.name || (first.origin.is_some() && first.origin == second.origin) {
        return Contest::Later;
    }
    let priority = |of: &crate::apk::Package, over: &crate::apk::Package| {
        let names = of.replaces.iter().any(|replaced| replaced.describes(over));
        names.then(|| of.replaces_priority.unwrap_or(0))
    };
    match (priority(first, second), priority(second, first)) {
        (None, None) => Contest::Neither,
        (first, second) if first > second => Contest::Earlier,
        _ => Contest::Later,
    }
}

/// Whether apk skips the entry: package metadata and placeholders at the top of the archive, and the root directory.
fn is_hidden(path: &[u8]) -> bool {
    let first = path.split(|&b| b == b'/').next().unwrap_or_default();
    path == b"." || first.starts_with(b".") && first != b"." && first != b".."
}

fn checked_path(files: &PackageFiles, header: &Entry) -> Result<TreePath, RootfsError> {
    TreePath::new(&header.path).map_err(|why: PathError| RootfsError::Name {
        package: files.title(),
        name: String::from_utf8_lossy(&header.path).chars().take(200).collect(),
        why,
    })
}

#[cfg(test)]
mod tests;
