use std::collections::{BTreeMap, BTreeSet};

use crate::rootfs::{Bearer, Node, Source, Tree, TreePath};

/// Which path of a tree goes into which layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The layers, bottom to top.
    pub layers: Vec<LayerPlan>,
}

/// What one layer holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerPlan {
    /// What it is, for people; becomes the layer's history entry.
    pub title: String,
    /// Its parts, in the order in which they are written.
    pub segments: Vec<Segment>,
}

/// A part of a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment {
    /// Directories, parents first: all that the layer's entries are in, so that whoever unpacks the layer by itself
    /// gives them their modes and owners.
    Directories(Vec<TreePath>),
    /// What one package brings beside directories.
    Package {
        /// Position of the package in install order.
        package: usize,
        /// Files by the position of their entry in the package's data, each with its names. The first name is the file,
        /// the others are hard links to it.
        files: BTreeMap<usize, Vec<TreePath>>,
        /// Links and pipes.
        others: Vec<TreePath>,
    },
    /// Files and links that no package brings.
    Image(Vec<TreePath>),
}

/// Plans the layers of a tree: one of packages, on top of it one of what the image itself adds.
#[must_use]
pub fn plan(tree: &Tree) -> Plan {
    let (mut packages, mut image) = (BTreeMap::new(), Vec::new());
    for (path, node) in tree.iter().filter(|(_, node)| !node.is_directory()) {
        match (node.source(), node.bearer) {
            (Some(Source { package, entry }), _) => {
                let (files, _): &mut Contents = packages.entry(package).or_default();
                files.entry(entry).or_default().push(path.clone());
            }
            (None, Bearer::Package(package)) => packages.entry(package).or_default().1.push(path.clone()),
            (None, Bearer::Image) => image.push(path.clone()),
        }
    }
    let borne = |by_image: bool| {
        let directories = tree.iter().filter(|(_, node)| node.is_directory());
        directories.filter(move |(_, node)| (node.bearer == Bearer::Image) == by_image).map(|(path, _)| path)
    };
    let segments = packages.into_iter().map(|(package, (files, others))| Segment::Package { package, files, others });
    let bottom = LayerPlan {
        title: "packages".to_owned(),
        segments: std::iter::once(Segment::Directories(with_parents(borne(false)))).chain(segments).collect(),
    };
    let directories = with_parents(borne(true).chain(&image));
    let directories = directories.into_iter().filter(|path| tree.get(path).is_some_and(Node::is_directory));
    let top = LayerPlan {
        title: "accounts, database, links and configuration".to_owned(),
        segments: vec![Segment::Directories(directories.collect()), Segment::Image(image)],
    };
    Plan { layers: vec![bottom, top] }
}

type Contents = (BTreeMap<usize, Vec<TreePath>>, Vec<TreePath>);

/// The paths with all that is above them, once each, parents first.
fn with_parents<'a>(paths: impl Iterator<Item = &'a TreePath>) -> Vec<TreePath> {
    let mut all = BTreeSet::new();
    for path in paths {
        let mut next = Some(path.clone());
        while let Some(path) = next {
            next = path.parent();
            if !all.insert(path) {
                break;
            }
        }
    }
    all.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rootfs::{Content, NodeKind};

    fn path(name: &str) -> TreePath {
        TreePath::new(name).unwrap()
    }

    fn of(package: usize, node: Node) -> Node {
        Node { bearer: Bearer::Package(package), ..node }
    }

    fn file(package: usize, entry: usize) -> Node {
        let content = Content::Package(Source { package, entry });
        let kind = NodeKind::File { size: 0, content };
        of(package, Node { kind, ..Node::directory(0o644, 0) })
    }

    #[test]
    fn every_path_is_in_one_layer_and_directories_wherever_they_are_needed() {
        let tree: Tree = [
            (path("etc"), of(0, Node::directory(0o755, 0))),
            (path("etc/a"), file(1, 4)),
            (path("etc/b"), file(0, 7)),
            (path("etc/c"), file(1, 4)),
            (path("etc/l"), of(0, Node::symlink("a", 0))),
            (path("etc/own"), Node::directory(0o700, 0)),
            (path("etc/own/f"), Node::file(*b"x", 0o644, 0)),
        ]
        .into_iter()
        .collect();
        let package = |package, files: &[(usize, &[&str])], others: &[&str]| Segment::Package {
            package,
            files: files.iter().map(|(entry, names)| (*entry, names.iter().map(|name| path(name)).collect())).collect(),
            others: others.iter().map(|name| path(name)).collect(),
        };
        let plan = plan(&tree);
        assert_eq!(
            plan.layers[0].segments,
            [
                Segment::Directories(vec![path("etc")]),
                package(0, &[(7, &["etc/b"])], &["etc/l"]),
                package(1, &[(4, &["etc/a", "etc/c"])], &[]),
            ]
        );
        assert_eq!(
            plan.layers[1].segments,
            [Segment::Directories(vec![path("etc"), path("etc/own")]), Segment::Image(vec![path("etc/own/f")])]
        );
    }
}
