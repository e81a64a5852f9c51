use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::verbatim::{self, NotVerbatim};
use super::{Group, Layer};
use crate::apk::package::PackageFiles;
use crate::apk::tar::{self, Entry, EntryKind};
use crate::digest::Sha256;
use crate::rootfs::{Bearer, Content, Merged, Node, NodeKind, Owned, OwnedPath, Source, TreePath, agreed};

/// A layer before it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// What it is, for people; becomes the layer's history entry.
    pub title: String,
    /// Positions of its packages in install order; of none for the top layer.
    pub packages: Vec<usize>,
    /// The images that have a layer of the same packages; of none for the top layer.
    pub images: Vec<String>,
    /// What is in it.
    pub content: DraftContent,
}

/// What is in a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DraftContent {
    /// A package's data member, as it is.
    Member(Layer),
    /// Segments, one after the other.
    Segments {
        /// The segments.
        segments: Vec<Segment>,
        /// Why it is not a data member, if it has one package alone.
        reason: Option<NotVerbatim>,
    },
}

/// A part of a layer: a run of gzip members of its own, whose bytes depend on what is in it and on nothing else.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Segment {
    /// The package whose files are in it, if any are.
    pub package: Option<usize>,
    /// What is in it, in order; what has its content in the package sorted by [`ItemContent::Package`].
    pub items: Vec<Item>,
}

/// One entry of a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its header.
    pub header: Entry,
    /// Its content.
    pub content: ItemContent,
}

/// Where an entry's content is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ItemContent {
    /// Nowhere: it has none.
    Nothing,
    /// Here.
    Inline(Arc<[u8]>),
    /// In the package's data, in the entry at this position.
    Package(usize),
}

/// The layers of an image, bottom to top. `merged` is its tree and what each package brought, `packages` what the packages
/// hold, `members` each package's data member as a layer, all in install order; `groups` is the image's plan.
///
/// The top layer is everything in which the tree differs from what the layers below leave when they are unpacked one over
/// the other, so that the whole image is the tree, whatever is in which layer.
#[must_use]
pub fn drafts(merged: &Merged, packages: &[PackageFiles], members: &[Layer], groups: &[Group]) -> Vec<Draft> {
    let mut stack = Stack { merged, packages, members, unpacked: BTreeMap::new() };
    let mut drafts: Vec<Draft> = groups.iter().map(|group| stack.group(group)).collect();
    drafts.push(stack.top());
    drafts
}

struct Stack<'a> {
    merged: &'a Merged,
    packages: &'a [PackageFiles],
    members: &'a [Layer],
    /// What the layers so far leave, unpacked.
    unpacked: BTreeMap<TreePath, Node>,
}

impl Stack<'_> {
    fn group(&mut self, group: &Group) -> Draft {
        let content = match group.packages.as_slice() {
            [package] => self.alone(*package),
            packages => DraftContent::Segments { segments: self.segments(packages), reason: None },
        };
        Draft { title: self.title(group), packages: group.packages.clone(), images: group.images.clone(), content }
    }

    fn title(&self, group: &Group) -> String {
        match group.packages.as_slice() {
            [package] => self.packages.get(*package).map(PackageFiles::title).unwrap_or_default(),
            packages if group.images.len() < 2 => format!("{} packages", packages.len()),
            packages => format!("{} packages, as in {}", packages.len(), group.images.join(", ")),
        }
    }

    fn alone(&mut self, package: usize) -> DraftContent {
        let (Some(files), Some(owned), Some(member)) =
            (self.packages.get(package), self.merged.owned.get(package), self.members.get(package))
        else {
            return DraftContent::Segments { segments: Vec::new(), reason: None };
        };
        if let Err(reason) = verbatim::check(files, owned, &self.merged.tree) {
            return DraftContent::Segments { segments: self.segments(&[package]), reason: Some(reason) };
        }
        for place in owned.directories.iter().chain(&owned.files) {
            if let Some(node) = node(files, package, place) {
                self.unpacked.insert(place.actual.clone(), node);
            }
        }
        DraftContent::Member(Layer { title: files.title(), ..member.clone() })
    }

    /// A segment of directories, then one for each package that has anything else.
    fn segments(&mut self, packages: &[usize]) -> Vec<Segment> {
        let mut segments = vec![self.directories(packages)];
        segments.extend(packages.iter().map(|package| self.package(*package)));
        segments.retain(|segment| !segment.items.is_empty());
        segments
    }

    /// All directories that the packages have or need, as these packages alone want them: so they are the same in every
    /// image that has the group. What others want of them is the top layer's to say.
    fn directories(&mut self, packages: &[usize]) -> Segment {
        let owned = || packages.iter().filter_map(|package| Some((*package, self.merged.owned.get(*package)?)));
        let mut claims: BTreeMap<&TreePath, Vec<(usize, &OwnedPath)>> = BTreeMap::new();
        for (package, place) in owned().flat_map(|(package, it)| it.directories.iter().map(move |dir| (package, dir))) {
            claims.entry(&place.actual).or_default().push((package, place));
        }
        let files =
            owned().flat_map(|(_, owned): (_, &Owned)| owned.files.iter().filter_map(|file| file.actual.parent()));
        let needed = with_parents(claims.keys().map(|&path| path.clone()).chain(files));
        let mut nodes = Vec::new();
        for path in needed {
            let wanted = claims.get(&path).and_then(|claims| self.wanted(claims));
            if let Some(node) = wanted.or_else(|| self.merged.tree.get(&path).cloned()).filter(Node::is_directory) {
                nodes.push((path, node));
            }
        }
        let items = nodes.iter().map(|(path, node)| Item { header: header(path, node), content: ItemContent::Nothing });
        let segment = Segment { package: None, items: items.collect() };
        self.unpacked.extend(nodes);
        segment
    }

    fn wanted(&self, claims: &[(usize, &OwnedPath)]) -> Option<Node> {
        let (package, place) = claims.first()?;
        let mut node = node(self.packages.get(*package)?, *package, place)?;
        let claims = claims.iter().map(|(_, place)| (place.mode, place.uid, place.gid));
        (node.mode, node.uid, node.gid) = agreed(claims)?;
        Some(node)
    }

    /// What a package has beside directories, in the order of its contents.
    fn package(&mut self, package: usize) -> Segment {
        let mut nodes = Vec::new();
        if let (Some(files), Some(owned)) = (self.packages.get(package), self.merged.owned.get(package)) {
            for place in &owned.files {
                let in_image = self.merged.tree.get(&place.actual);
                // A recipe's word on a package's file is heard here, so that the file need not be in the top layer, too.
                let in_image = in_image.filter(|node| node.source() == Some(Source { package, entry: place.content }));
                if let Some(node) = in_image.cloned().or_else(|| node(files, package, place)) {
                    nodes.push((place.content, place.actual.clone(), node));
                }
            }
        }
        nodes.sort_by_key(|(content, ..)| *content);
        let segment =
            Segment { package: Some(package), items: items(nodes.iter().map(|(_, path, node)| (path, node))) };
        self.unpacked.extend(nodes.into_iter().map(|(_, path, node)| (path, node)));
        segment
    }

    /// What the layers so far don't leave as it is in the tree.
    fn top(&self) -> Draft {
        let missing: Vec<(&TreePath, &Node)> = self
            .merged
            .tree
            .iter()
            .filter(|(path, node)| !self.unpacked.get(path).is_some_and(|found| is_same(found, node)))
            .collect();
        let directories = missing.iter().filter(|(_, node)| node.is_directory()).map(|(path, _)| (*path).clone());
        let parents = missing.iter().filter_map(|(path, _)| path.parent());
        let directories = with_parents(directories.chain(parents));
        let directories: Vec<(&TreePath, &Node)> =
            directories.iter().filter_map(|path| Some((path, self.merged.tree.get(path)?))).collect();
        let mut segments = vec![Segment { package: None, items: items(directories.into_iter()) }];
        let (from_packages, own): (Vec<_>, Vec<_>) =
            missing.into_iter().filter(|(_, node)| !node.is_directory()).partition(|(_, node)| node.source().is_some());
        segments.push(Segment { package: None, items: items(own.into_iter()) });
        let mut by_package: BTreeMap<usize, Vec<(&TreePath, &Node)>> = BTreeMap::new();
        for (path, node) in from_packages {
            by_package.entry(node.source().map_or(0, |source| source.package)).or_default().push((path, node));
        }
        for (package, mut nodes) in by_package {
            nodes.sort_by_key(|(_, node)| node.source());
            segments.push(Segment { package: Some(package), items: items(nodes.into_iter()) });
        }
        segments.retain(|segment| !segment.items.is_empty());
        Draft {
            title: "accounts, database, links and configuration".to_owned(),
            packages: Vec::new(),
            images: Vec::new(),
            content: DraftContent::Segments { segments, reason: None },
        }
    }
}

impl Draft {
    /// Names what is in the layer, all of it: drafts with the same key are the same bytes. `member` is the digest of a
    /// package's data member by its position.
    #[must_use]
    pub fn key(&self, member: impl Fn(usize) -> Option<Sha256>) -> Sha256 {
        match &self.content {
            DraftContent::Member(layer) => layer.digest,
            DraftContent::Segments { segments, .. } => {
                let keys: Vec<String> = segments.iter().map(|segment| segment.key(&member).to_string()).collect();
                Sha256::of(format!("a layer, assembly {}\n{}", super::ASSEMBLY_VERSION, keys.join("\n")))
            }
        }
    }
}

impl Segment {
    /// Bytes of the files in it.
    #[must_use]
    pub fn content(&self) -> u64 {
        self.items.iter().map(|item| item.header.size).sum()
    }

    /// Bytes of the segment, uncompressed.
    #[must_use]
    pub fn unpacked(&self) -> u64 {
        let padded = |size: u64| size.next_multiple_of(tar::BLOCK as u64);
        self.items.iter().map(|item| tar::header(&item.header).len() as u64 + padded(item.header.size)).sum()
    }

    /// Names what is in the segment: the package, the assembly version, the paths with owners and modes.
    #[must_use]
    pub fn key(&self, member: impl Fn(usize) -> Option<Sha256>) -> Sha256 {
        let package = self.package.and_then(member).map(|digest| digest.to_string()).unwrap_or_default();
        let mut text = format!("a segment, assembly {}\n{package}\n", super::ASSEMBLY_VERSION).into_bytes();
        for item in &self.items {
            text.extend_from_slice(&tar::header(&item.header));
            match &item.content {
                ItemContent::Nothing => {}
                ItemContent::Inline(bytes) => text.extend_from_slice(Sha256::of(bytes).as_bytes()),
                ItemContent::Package(entry) => text.extend_from_slice(entry.to_string().as_bytes()),
            }
        }
        Sha256::of(text)
    }
}

/// The node that a package's path makes when its data is unpacked.
fn node(files: &PackageFiles, package: usize, place: &OwnedPath) -> Option<Node> {
    let header = &files.entries.get(place.entry)?.header;
    let of = |entry: usize| files.entries.get(entry).map(|entry| &entry.header);
    let kind = match &header.kind {
        EntryKind::Directory => NodeKind::Directory,
        EntryKind::Symlink(target) => NodeKind::Symlink(target.clone()),
        EntryKind::Fifo => NodeKind::Fifo,
        EntryKind::File | EntryKind::Hardlink(_) => {
            let source = Source { package, entry: place.content };
            NodeKind::File { size: of(place.content)?.size, content: Content::Package(source) }
        }
        EntryKind::CharDevice(_) | EntryKind::BlockDevice(_) => return None,
    };
    // A further name of a file has no time and no attributes of its own.
    let inode = of(place.content).unwrap_or(header);
    Some(Node {
        kind,
        mode: place.mode,
        uid: place.uid,
        gid: place.gid,
        mtime: inode.mtime,
        xattrs: inode.xattrs.clone(),
        bearer: Bearer::Package(package),
    })
}

/// Whether two nodes are the same once they are unpacked, whoever brings them.
fn is_same(a: &Node, b: &Node) -> bool {
    (&a.kind, a.mode, a.uid, a.gid, a.mtime, &a.xattrs) == (&b.kind, b.mode, b.uid, b.gid, b.mtime, &b.xattrs)
}

/// Entries for some nodes, in their order. Of several names of a package's file that follow each other the first is the
/// file, and the others are links to it.
fn items<'a>(nodes: impl Iterator<Item = (&'a TreePath, &'a Node)>) -> Vec<Item> {
    let mut items = Vec::new();
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

/// The paths with all that is above them, once each, parents first.
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

/// A node's header. Owners are numbers alone: names would be looked up where the image is unpacked.
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
