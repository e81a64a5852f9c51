use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use super::verbatim::{self, NotVerbatim};
use super::{Group, LayerError};
use crate::apk::package::EntryId;
use crate::apk::tar::{self, Entry, EntryKind};
use crate::digest::Sha256;
use crate::rootfs::{Merged, MergedPackage, Node, NodeKind, PackageId, Source, Tree, TreePath, agreed};
use crate::table::Id as _;

/// The plan of a layer's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// A description for people, which becomes the layer's history entry.
    pub title: String,
    /// Its packages; none for the top layer.
    pub packages: Vec<PackageId>,
    /// The images that have a layer of the same packages; none for the top layer.
    pub images: Vec<String>,
    pub content: DraftContent,
}

/// The content of a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DraftContent {
    /// This package's data member, unchanged.
    Member(PackageId),
    Segments {
        segments: Vec<Segment>,
        /// Why it is not verbatim, if it has a single package.
        reason: Option<NotVerbatim>,
    },
}

/// A part of a layer: a run of gzip members whose bytes depend only on its own content.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Segment {
    /// The package whose files it contains, if any.
    pub package: Option<PackageId>,
    /// Its entries, in order. Entries with content in the package are sorted by [`ItemContent::Package`].
    pub items: Vec<Item>,
}

/// One entry of a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    pub header: Entry,
    pub content: ItemContent,
}

/// Where an entry's content is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ItemContent {
    /// Nowhere: it has none.
    Nothing,
    Inline(Arc<[u8]>),
    /// In the package's data, in this entry.
    Package(EntryId),
}

/// The layers of an image, bottom to top. `merged` is its tree and what each package brought, `groups` is the image's
/// plan.
///
/// The top layer contains everything in which the tree differs from the unpacked layers below, so that the image always
/// equals the tree.
pub fn drafts(merged: &Merged, groups: &[Group]) -> Result<Vec<Draft>, LayerError> {
    let mut stack = Stack { merged, unpacked: HashSet::new() };
    let mut drafts = groups.iter().map(|group| stack.group(group)).collect::<Result<Vec<_>, _>>()?;
    drafts.push(stack.top()?);
    Ok(drafts)
}

struct Stack<'a> {
    merged: &'a Merged,
    /// The paths at which unpacking the layers so far gives what the tree has.
    unpacked: HashSet<&'a TreePath>,
}

impl<'a> Stack<'a> {
    fn package(&self, id: PackageId) -> &'a MergedPackage {
        &self.merged.packages[id]
    }

    fn group(&mut self, group: &Group) -> Result<Draft, LayerError> {
        let content = match group.packages.as_slice() {
            [package] => self.alone(*package)?,
            packages => DraftContent::Segments { segments: self.segments(packages)?, reason: None },
        };
        Ok(Draft { title: self.title(group), packages: group.packages.clone(), images: group.images.clone(), content })
    }

    fn title(&self, group: &Group) -> String {
        match group.packages.as_slice() {
            [package] => self.package(*package).files.title(),
            packages if group.images.len() < 2 => format!("{} packages", packages.len()),
            packages => format!("{} packages, as in {}", packages.len(), group.images.join(", ")),
        }
    }

    fn alone(&mut self, id: PackageId) -> Result<DraftContent, LayerError> {
        let package = self.package(id);
        if let Err(reason) = verbatim::check(package, &self.merged.tree) {
            return Ok(DraftContent::Segments { segments: self.segments(&[id])?, reason: Some(reason) });
        }
        for place in package.owned.directories.iter().chain(&package.owned.files) {
            self.unpack(&place.actual, &place.node);
        }
        Ok(DraftContent::Member(id))
    }

    /// Records that a layer has `node` at `path`, and so replaces what an earlier one has there.
    fn unpack(&mut self, path: &TreePath, node: &Node) {
        match self.merged.tree.get_key_value(path) {
            Some((path, wanted)) if is_same(wanted, node) => self.unpacked.insert(path),
            _ => self.unpacked.remove(path),
        };
    }

    /// A segment with the directories, then one for each package with other entries.
    fn segments(&mut self, packages: &[PackageId]) -> Result<Vec<Segment>, LayerError> {
        let mut segments = vec![self.directories(packages)?];
        segments.extend(packages.iter().map(|package| self.files(*package)));
        segments.retain(|segment| !segment.items.is_empty());
        Ok(segments)
    }

    /// All directories that the packages contain or need, with the modes and owners that these packages alone set, so
    /// that the segment is the same in every image with this group. The top layer corrects them where other packages
    /// differ.
    fn directories(&mut self, packages: &[PackageId]) -> Result<Segment, LayerError> {
        let mut claims: BTreeMap<&TreePath, Vec<&Node>> = BTreeMap::new();
        for place in packages.iter().flat_map(|package| &self.package(*package).owned.directories) {
            claims.entry(&place.actual).or_default().push(&place.node);
        }
        let files = packages.iter().flat_map(|package| &self.package(*package).owned.files);
        let parents = files.filter_map(|file| file.actual.parent());
        let mut nodes = Vec::new();
        for path in with_parents(claims.keys().map(|&path| path.clone()).chain(parents)) {
            let node = match claims.get(&path).and_then(|claims| wanted(claims)) {
                Some(node) => node,
                None => directory(&self.merged.tree, &path)?.clone(),
            };
            nodes.push((path, node));
        }
        for (path, node) in &nodes {
            self.unpack(path, node);
        }
        let items = nodes.iter().map(|(path, node)| Item { header: header(path, node), content: ItemContent::Nothing });
        Ok(Segment { package: None, items: items.collect() })
    }

    /// What a package has besides directories, in the order of its contents.
    fn files(&mut self, id: PackageId) -> Segment {
        let mut nodes: Vec<(EntryId, &TreePath, &Node)> = Vec::new();
        for place in &self.package(id).owned.files {
            let source = Source { package: id, entry: place.content() };
            let in_image = self.merged.tree.get(&place.actual);
            // Apply the recipe's rules for the package's files here, so that these files needn't be in the top layer as
            // well.
            let in_image = in_image.filter(|node| node.source() == Some(source));
            nodes.push((source.entry, &place.actual, in_image.unwrap_or(&place.node)));
        }
        nodes.sort_by_key(|(content, ..)| *content);
        for (_, path, node) in &nodes {
            self.unpack(path, node);
        }
        Segment { package: Some(id), items: items(nodes.iter().map(|(_, path, node)| (*path, *node))) }
    }

    /// Everything in which the tree differs from the layers so far.
    fn top(&self) -> Result<Draft, LayerError> {
        let tree = &self.merged.tree;
        let missing: Vec<(&TreePath, &Node)> = tree.iter().filter(|(path, _)| !self.unpacked.contains(path)).collect();
        let paths = missing.iter().filter(|(_, node)| node.is_directory()).map(|(path, _)| (*path).clone());
        let paths = with_parents(paths.chain(missing.iter().filter_map(|(path, _)| path.parent())));
        let directories = paths.iter().map(|path| Ok((path, directory(tree, path)?)));
        let directories = directories.collect::<Result<Vec<_>, LayerError>>()?;
        let mut own: Vec<(&TreePath, &Node)> = Vec::new();
        let mut by_package: BTreeMap<PackageId, Vec<(EntryId, &TreePath, &Node)>> = BTreeMap::new();
        for (path, node) in missing.into_iter().filter(|(_, node)| !node.is_directory()) {
            match node.source() {
                Some(Source { package, entry }) => by_package.entry(package).or_default().push((entry, path, node)),
                None => own.push((path, node)),
            }
        }
        let mut segments = vec![
            Segment { package: None, items: items(directories.into_iter()) },
            Segment { package: None, items: items(own.into_iter()) },
        ];
        for (package, mut nodes) in by_package {
            nodes.sort_by_key(|(entry, ..)| *entry);
            let nodes = nodes.into_iter().map(|(_, path, node)| (path, node));
            segments.push(Segment { package: Some(package), items: items(nodes) });
        }
        segments.retain(|segment| !segment.items.is_empty());
        Ok(Draft {
            title: "accounts, database, links and configuration".to_owned(),
            packages: Vec::new(),
            images: Vec::new(),
            content: DraftContent::Segments { segments, reason: None },
        })
    }
}

/// The directory that several packages want, in mode and owner as they all allow.
fn wanted(claims: &[&Node]) -> Option<Node> {
    let mut node = (*claims.first()?).clone();
    (node.mode, node.uid, node.gid) = agreed(claims.iter().map(|node| (node.mode, node.uid, node.gid)))?;
    Some(node)
}

/// The directory at `path`, in which the tree has something.
fn directory<'a>(tree: &'a Tree, path: &TreePath) -> Result<&'a Node, LayerError> {
    let node = tree.get(path).filter(|node| node.is_directory());
    node.ok_or_else(|| LayerError::NoDirectory { path: path.clone() })
}

impl Draft {
    /// A hash of everything in the layer: drafts with the same key have the same bytes. `member` is the digest of a
    /// package's data member.
    #[must_use]
    pub fn key(&self, member: impl Fn(PackageId) -> Sha256) -> Sha256 {
        match &self.content {
            DraftContent::Member(package) => member(*package),
            DraftContent::Segments { segments, .. } => {
                let keys: Vec<String> = segments.iter().map(|segment| segment.key(&member).to_string()).collect();
                Sha256::of(format!("a layer, assembly {}\n{}", super::ASSEMBLY_VERSION, keys.join("\n")))
            }
        }
    }
}

impl Segment {
    /// The size of its files, in bytes.
    #[must_use]
    pub fn content(&self) -> u64 {
        self.items.iter().map(|item| item.header.size).sum()
    }

    /// The uncompressed size of the segment, in bytes.
    #[must_use]
    pub fn unpacked(&self) -> u64 {
        let padded = |size: u64| size.next_multiple_of(tar::BLOCK as u64);
        self.items.iter().map(|item| tar::header(&item.header).len() as u64 + padded(item.header.size)).sum()
    }

    /// A hash of what determines the segment: the package, the assembly version, the paths with owners and modes.
    #[must_use]
    pub fn key(&self, member: impl Fn(PackageId) -> Sha256) -> Sha256 {
        let package = self.package.map_or_else(String::new, |package| member(package).to_string());
        let mut text = format!("a segment, assembly {}\n{package}\n", super::ASSEMBLY_VERSION).into_bytes();
        for item in &self.items {
            text.extend_from_slice(&tar::header(&item.header));
            match &item.content {
                ItemContent::Nothing => {}
                ItemContent::Inline(bytes) => text.extend_from_slice(Sha256::of(bytes).as_bytes()),
                ItemContent::Package(entry) => text.extend_from_slice(entry.number().to_string().as_bytes()),
            }
        }
        Sha256::of(text)
    }
}

/// Whether two nodes are the same once unpacked, wherever they come from.
fn is_same(a: &Node, b: &Node) -> bool {
    (&a.kind, a.mode, a.uid, a.gid, a.mtime, &a.xattrs) == (&b.kind, b.mode, b.uid, b.gid, b.mtime, &b.xattrs)
}

/// Entries for nodes, in order. Of consecutive names of one package file, the first is the file and the others are
/// links to it.
fn items<'a>(nodes: impl Iterator<Item = (&'a TreePath, &'a Node)>) -> Vec<Item> {
    let mut items = Vec::with_capacity(nodes.size_hint().0);
    let mut last: Option<(Source, &TreePath)> = None;
    for (path, node) in nodes {
        let mut header = header(path, node);
        let content = match (node.source(), node.inline(), last) {
            (Some(source), _, Some((of, first))) if source == of => {
                (header.kind, header.size) = (EntryKind::Hardlink(first.as_bytes().to_vec()), 0);
                ItemContent::Nothing
            }
            (Some(source), ..) => {
                last = Some((source, path));
                ItemContent::Package(source.entry)
            }
            (None, Some(content), _) => ItemContent::Inline(content.clone()),
            (None, None, _) => ItemContent::Nothing,
        };
        items.push(Item { header, content });
    }
    items
}

/// The paths and all of their parents, without duplicates, parents first.
fn with_parents(paths: impl Iterator<Item = TreePath>) -> BTreeSet<TreePath> {
    let mut all = BTreeSet::new();
    for path in paths {
        let mut next = Some(path);
        while let Some(path) = next {
            next = path.parent();
            if !all.insert(path) {
                break;
            }
        }
    }
    all
}

/// A node's header. Owners are ids only, because names would be looked up where the image is unpacked.
fn header(path: &TreePath, node: &Node) -> Entry {
    let (kind, size) = match &node.kind {
        NodeKind::Directory => (EntryKind::Directory, 0),
        NodeKind::File { size, .. } => (EntryKind::File, *size),
        NodeKind::Symlink(target) => (EntryKind::Symlink(target.clone()), 0),
        NodeKind::Fifo => (EntryKind::Fifo, 0),
    };
    Entry {
        uid: node.uid,
        gid: node.gid,
        user: String::new(),
        group: String::new(),
        size,
        mtime: node.mtime,
        xattrs: node.xattrs.clone(),
        ..Entry::new(path.as_bytes(), kind, node.mode)
    }
}

#[cfg(test)]
mod tests;
