use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::TreePath;
use crate::apk::package::EntryId;
use crate::table::id;

id! {
    /// A package of an image, by its position in install order.
    pub PackageId
}

/// The merged file system of an image: every path once, sorted by bytes, so that parents come before their children.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    nodes: BTreeMap<TreePath, Node>,
}

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its kind, with content or target.
    pub kind: NodeKind,
    /// Permission bits, including setuid, setgid and sticky.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// Seconds since 1970.
    pub mtime: i64,
    /// Extended attributes by full name (`security.capability`).
    pub xattrs: BTreeMap<String, Vec<u8>>,
    pub bearer: Bearer,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeKind {
    Directory,
    /// A regular file. Files with the same [`Content::Package`] are hard links to each other.
    File {
        /// Bytes.
        size: u64,
        content: Content,
    },
    /// A symbolic link, with its target as written.
    Symlink(Vec<u8>),
    Fifo,
}

/// Where a file's content is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// In a package's data archive.
    Package(Source),
    Inline(Arc<[u8]>),
}

/// A file of a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source {
    pub package: PackageId,
    /// The entry of its data archive.
    pub entry: EntryId,
}

/// The origin of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bearer {
    /// This package; for a directory, the first that has it.
    Package(PackageId),
    /// The recipe (even if it only sets mode and owner), a replacement for packages' scripts, or apk's own files.
    Image,
}

impl Node {
    /// A file owned by root that is not in a package.
    #[must_use]
    pub fn file(content: impl Into<Arc<[u8]>>, mode: u32, mtime: i64) -> Self {
        let content = content.into();
        let kind = NodeKind::File { size: content.len() as u64, content: Content::Inline(content) };
        Self::of_image(kind, mode, mtime)
    }

    /// A directory owned by root that is not in a package.
    #[must_use]
    pub fn directory(mode: u32, mtime: i64) -> Self {
        Self::of_image(NodeKind::Directory, mode, mtime)
    }

    /// A symbolic link that is not in a package.
    #[must_use]
    pub fn symlink(target: impl Into<Vec<u8>>, mtime: i64) -> Self {
        Self::of_image(NodeKind::Symlink(target.into()), 0o777, mtime)
    }

    fn of_image(kind: NodeKind, mode: u32, mtime: i64) -> Self {
        Self { kind, mode, uid: 0, gid: 0, mtime, xattrs: BTreeMap::new(), bearer: Bearer::Image }
    }

    #[must_use]
    pub fn is_directory(&self) -> bool {
        self.kind == NodeKind::Directory
    }

    /// The position of its content, if that is in a package.
    #[must_use]
    pub fn source(&self) -> Option<Source> {
        match &self.kind {
            NodeKind::File { content: Content::Package(source), .. } => Some(*source),
            _ => None,
        }
    }

    /// Its content, if it is a file whose content is not in a package.
    #[must_use]
    pub fn inline(&self) -> Option<&Arc<[u8]>> {
        match &self.kind {
            NodeKind::File { content: Content::Inline(content), .. } => Some(content),
            _ => None,
        }
    }
}

/// The most symbolic links followed for one path, as in Linux.
const MAX_LINKS: usize = 40;

impl Tree {
    /// The node at `path`, without following links.
    #[must_use]
    pub fn get(&self, path: &TreePath) -> Option<&Node> {
        self.nodes.get(path)
    }

    /// Like [`Tree::get`], and returns the tree's own path, too.
    #[must_use]
    pub fn get_key_value(&self, path: &TreePath) -> Option<(&TreePath, &Node)> {
        self.nodes.get_key_value(path)
    }

    pub(super) fn get_mut(&mut self, path: &TreePath) -> Option<&mut Node> {
        self.nodes.get_mut(path)
    }

    pub(super) fn insert(&mut self, path: TreePath, node: Node) {
        self.nodes.insert(path, node);
    }

    pub(super) fn nodes_mut(&mut self) -> impl Iterator<Item = (&TreePath, &mut Node)> {
        self.nodes.iter_mut()
    }

    /// All paths and nodes, parents first.
    pub fn iter(&self) -> impl Iterator<Item = (&TreePath, &Node)> {
        self.nodes.iter()
    }

    /// How many paths there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The number of names of each package file that has more than one.
    #[must_use]
    pub fn link_counts(&self) -> HashMap<Source, u64> {
        let mut counts = HashMap::new();
        for source in self.nodes.values().filter_map(Node::source) {
            *counts.entry(source).or_insert(0) += 1;
        }
        counts.retain(|_, count| *count > 1);
        counts
    }

    /// Resolves `path`, following all links inside the tree, including one at its end.
    ///
    /// Returns none if links form a loop or lead above the root. Missing components are kept as they are.
    #[must_use]
    pub fn resolve(&self, path: &TreePath) -> Option<TreePath> {
        self.follow(path, true)
    }

    /// Like [`Tree::resolve`], but doesn't follow a link at the end of the path.
    #[must_use]
    pub fn resolve_parent(&self, path: &TreePath) -> Option<TreePath> {
        self.follow(path, false)
    }

    /// What an absolute path leads to, as a program in the image would find it.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<&Node> {
        let found = self.get(&self.walk(path.as_bytes(), true)?)?;
        (found.is_directory() || !names_a_directory(path)).then_some(found)
    }

    /// Like [`Tree::resolve`], but doesn't follow a link at the end of the path.
    #[must_use]
    pub fn find_itself(&self, path: &str) -> Option<&Node> {
        self.get(&self.walk(path.as_bytes(), false)?)
    }

    fn follow(&self, path: &TreePath, last: bool) -> Option<TreePath> {
        self.walk(path.as_bytes(), last)
    }

    fn walk(&self, path: &[u8], last: bool) -> Option<TreePath> {
        let mut todo: Vec<Vec<u8>> = path.split(|&b| b == b'/').rev().map(<[u8]>::to_vec).collect();
        let mut at: Option<TreePath> = None;
        let mut links = 0;
        while let Some(component) = todo.pop() {
            match component.as_slice() {
                b"" | b"." => continue,
                b".." => {
                    at = at.and_then(|path| path.parent());
                    continue;
                }
                _ => {}
            }
            let next = TreePath::join(at.as_ref(), &component);
            match self.nodes.get(&next).map(|node| &node.kind) {
                Some(NodeKind::Symlink(target)) if last || !todo.is_empty() => {
                    links += 1;
                    if links > MAX_LINKS {
                        return None;
                    }
                    if target.first() == Some(&b'/') {
                        at = None;
                    }
                    todo.extend(target.split(|&b| b == b'/').rev().map(<[u8]>::to_vec));
                }
                _ => at = Some(next),
            }
        }
        at
    }
}

/// Whether a path can lead to nothing but a directory, by the way it is written (POSIX, pathname resolution).
pub(super) fn names_a_directory(path: &str) -> bool {
    path.ends_with('/') || path.ends_with("/.")
}

impl FromIterator<(TreePath, Node)> for Tree {
    fn from_iter<I: IntoIterator<Item = (TreePath, Node)>>(nodes: I) -> Self {
        Self { nodes: nodes.into_iter().collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(name: &str) -> TreePath {
        TreePath::new(name).unwrap()
    }

    #[test]
    fn links_are_followed_inside_the_tree() {
        let tree: Tree = [
            (path("run"), Node::directory(0o755, 0)),
            (path("var"), Node::directory(0o755, 0)),
            (path("var/run"), Node::symlink("/run", 0)),
            (path("var/up"), Node::symlink("../../../run/x", 0)),
            (path("loop"), Node::symlink("loop", 0)),
            (path("var/dangling"), Node::symlink("nowhere", 0)),
        ]
        .into_iter()
        .collect();
        let resolve = |name: &str| tree.resolve(&path(name)).map(|path| path.to_string());
        assert_eq!(resolve("var/run/postfix"), Some("run/postfix".to_owned()));
        assert_eq!(resolve("var/up/y"), Some("run/x/y".to_owned()), "a link can't lead above the root");
        assert_eq!(resolve("loop/x"), None);
        assert_eq!(resolve("var/dangling"), Some("var/nowhere".to_owned()));
        assert_eq!(tree.resolve_parent(&path("var/run")), Some(path("var/run")));
        assert_eq!(tree.find("//var/./up/.."), tree.get(&path("run")));
        assert_eq!((tree.find("/var/dangling"), tree.find("/loop")), (None, None));
        assert_eq!((tree.find("/run/"), tree.find("/run/.")), (tree.find("/run"), tree.find("/run")));
    }
}
