//! Packages' entries → one tree, by the rules of apk.
//!
//! Each rule was observed on apk 2.14.0 with packages made to show it:
//!
//! - A directory that several packages have belongs to the smallest (uid, gid) among them; its mode has the bits that
//!   all packages with that owner give it. The order of packages has no say. Directories that apk makes before it
//!   unpacks anything keep the mode that apk gave them.
//! - An owner's name counts if the `etc/passwd` (a group's, `etc/group`) of an earlier package has it; else the number.
//! - Of two packages with one file the later one wins if both have the same origin, or if its `replaces` names the
//!   earlier one, unless the earlier one's `replaces` names it with a higher `replaces_priority`. If only the earlier
//!   one replaces the later one, it keeps its file. Else it is an error, with us unless both files are the same.
//! - A directory of one package where another has a link to a directory adds nothing; what is in it goes to where the
//!   link leads.
//! - Entries whose path begins with a dot (`.dummy`) are not installed.

use std::collections::{HashMap, HashSet};

use super::accounts::Accounts;
use super::tree::{Bearer, Content, Node, NodeKind, PackageId, Source, Tree};
use super::{PathError, RootfsError, TreePath};
use crate::apk::Checksum;
use crate::apk::package::{EntryId, PackageEntry, PackageFiles, READ_LIMIT, is_read};
use crate::apk::tar::{Entry, EntryKind};
use crate::table::Table;

/// What apk makes before it unpacks the first package, with the modes that it insists on.
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

/// The merged tree of some packages, and what each of them has in it.
#[derive(Debug, Clone)]
pub struct Merged {
    /// The tree.
    pub tree: Tree,
    /// The packages, in install order.
    pub packages: Table<PackageId, MergedPackage>,
}

/// A package that has been merged.
#[derive(Debug, Clone)]
pub struct MergedPackage {
    /// What it holds.
    pub files: PackageFiles,
    /// What it has in the tree, and what the installed database says of that.
    pub owned: Owned,
}

/// What one package has in the merged tree, in the order of its data archive.
#[derive(Debug, Clone, Default)]
pub struct Owned {
    /// Its directories, as it wants them.
    pub directories: Vec<OwnedPath>,
    /// Its files, links and pipes, less those that another package took over.
    pub files: Vec<OwnedPath>,
}

/// A path as the installed database names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedPath {
    /// The path as the package has it, before other packages' links are followed.
    pub declared: TreePath,
    /// The path in the tree.
    pub actual: TreePath,
    /// The entry of the package's data archive.
    pub entry: EntryId,
    /// What the package has there, its owner resolved. A hard link is what its file is.
    pub node: Node,
}

impl OwnedPath {
    /// The entry that holds the content: of a hard link that of the file which it names, else its own.
    #[must_use]
    pub fn content(&self) -> EntryId {
        self.node.source().map_or(self.entry, |source| source.entry)
    }
}

/// Merges `packages`, given in install order. `accounts` are those that are there before the first one.
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
    /// For the files, links and pipes in the tree: the package that has them.
    owner_of: HashMap<TreePath, PackageId>,
    /// For the directories in the tree: what packages want of them.
    claims: HashMap<TreePath, Vec<Claim>>,
}

/// What one package wants of a directory.
#[derive(Debug, Clone, Copy)]
struct Claim {
    package: PackageId,
    mode: u32,
    uid: u32,
    gid: u32,
}

/// What is known of the package at hand while its entries are added.
struct Current<'a> {
    id: PackageId,
    files: &'a PackageFiles,
    /// Its directories: path as declared → path in the tree.
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
        self.owned[id] = current.owned;
        // Known from the next package on: apk puts a package's files in place only at its end.
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

    /// Notes what a package wants of a directory; its last word counts.
    fn claim(&mut self, path: TreePath, claim: Claim) -> TreePath {
        let claims = self.claims.entry(path.clone()).or_default();
        claims.retain(|earlier| earlier.package != claim.package);
        claims.push(claim);
        path
    }

    /// Where a directory goes whose parent the package may leave to an earlier one.
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

    /// The directory to which the link at `place` leads.
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
            Some(parent) => Ok(TreePath::join(Some(parent), declared.name())),
            None => Err(RootfsError::NoDirectory { package: current.title(), path: declared.clone() }),
        }
    }

    fn place_file(&self, current: &Current<'a>, declared: &TreePath) -> Result<TreePath, RootfsError> {
        Self::place(current, declared).map_err(|error| match self.own_link_above(current, declared) {
            Some(link) => RootfsError::ThroughLink { package: current.title(), path: declared.clone(), link },
            None => error,
        })
    }

    /// The link of the same package that leads to `path`, if one does.
    fn own_link_above(&self, current: &Current<'a>, path: &TreePath) -> Option<TreePath> {
        std::iter::successors(path.parent(), TreePath::parent).find(|above| {
            let is_link = |node: &Node| matches!(node.kind, NodeKind::Symlink(_));
            self.owner_of.get(above) == Some(&current.id) && self.tree.get(above).is_some_and(is_link)
        })
    }

    /// Whether the package at hand gets the path, by what is there already.
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

    /// Whether two packages bring the same. Files are if their headers hold the same checksum: packages without
    /// checksums have nothing in common.
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

    /// SHA-1 of a package's file, where its header has it.
    fn checksum(&self, node: &Node) -> Option<Checksum> {
        let Source { package, entry } = node.source()?;
        self.packages[package].entries[entry].header.checksum
    }

    /// The node that an entry makes if nothing stands against it.
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
                // Linux has no modes of links; archives hold whatever the packager's umask was.
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

    /// A further name of a file: everything is that file's but the name.
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

    /// Settles modes and owners of directories, and adds those that apk makes whatever the packages hold.
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

/// Makes the directory `path`, and what is missing above it with mode 0755, following links that are there.
///
/// Returns where it really is. What is there already stays as it is.
pub(super) fn make_directories(
    tree: &mut Tree,
    path: &TreePath,
    mode: u32,
    mtime: u64,
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

/// Mode and owner of a directory by what all packages want of it.
fn settle(path: &TreePath, node: &mut Node, claims: &[Claim]) {
    if let Some((_, mode)) = SKELETON.iter().find(|(pinned, _)| pinned.as_bytes() == path.as_bytes()) {
        (node.mode, node.uid, node.gid) = (*mode, 0, 0);
        return;
    }
    let Some((mode, uid, gid)) = agreed(claims.iter().map(|claim| (claim.mode, claim.uid, claim.gid))) else { return };
    (node.mode, node.uid, node.gid) = (mode, uid, gid);
}

/// Mode and owner that a directory gets from what packages want of it, each as (mode, uid, gid).
pub fn agreed(claims: impl Iterator<Item = (u32, u32, u32)> + Clone) -> Option<(u32, u32, u32)> {
    let owner = claims.clone().map(|(_, uid, gid)| (uid, gid)).min()?;
    let mode = claims.filter(|(_, uid, gid)| (*uid, *gid) == owner).fold(0o7777, |all, (mode, ..)| all & mode);
    Some((mode, owner.0, owner.1))
}

/// Who of two packages gets a file that both have.
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

/// Whether apk leaves the entry out: package metadata and placeholders, at the top of the archive.
fn is_hidden(path: &[u8]) -> bool {
    let first = path.split(|&b| b == b'/').next().unwrap_or_default();
    first.starts_with(b".") && first != b"." && first != b".."
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
