use std::collections::BTreeMap;
use std::io::Cursor;

use proptest::prelude::*;

use super::*;
use crate::apk::tar::Entries;
use crate::layer::plan;
use crate::rootfs::Node;

fn path(name: &str) -> TreePath {
    TreePath::new(name).unwrap()
}

fn no_package(_: usize) -> io::Result<Cursor<Vec<u8>>> {
    Err(io::ErrorKind::NotFound.into())
}

/// Entries and their contents, by path.
type Found = BTreeMap<Vec<u8>, (Entry, Vec<u8>)>;

/// Writes the layers of a tree of the image's own files and reads them back.
fn written(tree: &Tree) -> (Vec<Layer>, Found) {
    let mut found = BTreeMap::new();
    let mut layers = Vec::new();
    for planned in &plan(tree).layers {
        let mut bytes = Vec::new();
        let layer = write(tree, planned, no_package, &mut bytes).unwrap();
        assert_eq!((layer.digest, layer.size), (Sha256::of(&bytes), bytes.len() as u64));
        let mut archive = Vec::new();
        flate2::read::MultiGzDecoder::new(bytes.as_slice()).read_to_end(&mut archive).unwrap();
        assert_eq!(layer.diff_id, Sha256::of(&archive));
        let mut entries = Entries::new(archive.as_slice());
        while let Some(entry) = entries.next().unwrap() {
            let mut content = Vec::new();
            entries.content().read_to_end(&mut content).unwrap();
            found.insert(entry.path.clone(), (entry, content));
        }
        layers.push(layer);
    }
    (layers, found)
}

fn any_node() -> impl Strategy<Value = Node> {
    let content = proptest::collection::vec(any::<u8>(), 0..2000);
    let target = "[a-z/]{1,150}";
    let kind = prop_oneof![
        content.prop_map(|bytes| Node::file(bytes, 0, 0)),
        target.prop_map(|target| Node::symlink(target, 0)),
        Just(Node { kind: NodeKind::Fifo, ..Node::directory(0, 0) }),
    ];
    (kind, 0..0o10000_u32, any::<u32>(), any::<u32>(), 0..(1_u64 << 40))
        .prop_map(|(node, mode, uid, gid, mtime)| Node { mode, uid, gid, mtime, ..node })
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(nodes in proptest::collection::btree_map("[a-zé ]{1,120}", any_node(), 0..12)) {
        let tree: Tree = nodes.iter().map(|(name, node)| (path(name), node.clone())).collect();
        let (_, found) = written(&tree);
        prop_assert_eq!(found.len(), nodes.len());
        for (name, node) in &nodes {
            let (entry, content) = &found[name.as_bytes()];
            prop_assert_eq!((entry.mode, entry.uid, entry.gid, entry.mtime), (node.mode, node.uid, node.gid, node.mtime));
            match &node.kind {
                NodeKind::Symlink(target) => prop_assert_eq!(&entry.kind, &EntryKind::Symlink(target.clone())),
                NodeKind::Fifo => prop_assert_eq!(&entry.kind, &EntryKind::Fifo),
                _ => prop_assert_eq!(content.as_slice(), &node.inline().unwrap()[..]),
            }
        }
    }
}

#[test]
fn layers_have_these_very_bytes() {
    // A change here is a new assembly version: see `layer::ASSEMBLY_VERSION`.
    let tree: Tree = [
        (path("etc"), Node { mode: 0o1777, uid: 3, ..Node::directory(0, 7) }),
        (path("etc/long"), Node::symlink("x".repeat(120), 8)),
        (path("etc/motd"), Node::file(*b"hello\n", 0o640, 1_700_000_000)),
    ]
    .into_iter()
    .collect();
    let (layers, _) = written(&tree);
    let digests: Vec<String> = layers.iter().map(|layer| layer.digest.to_string()).collect();
    assert_eq!(
        digests,
        [
            "62539018952ddec37a4fcf8d77171cfbcd5b21fc3520f32028cd9cfdae546a31",
            "393d452313bbeeb599403a652f71cc4f5f2272c46b02f0952543c83ba0356388",
        ]
    );
}

#[test]
fn extended_attributes_come_along() {
    let capability = vec![1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let xattrs: BTreeMap<_, _> = [("security.capability".to_owned(), capability)].into();
    let tree: Tree =
        [(path("ping"), Node { xattrs: xattrs.clone(), ..Node::file(*b"elf", 0o755, 0) })].into_iter().collect();
    let (_, found) = written(&tree);
    assert_eq!(found[b"ping".as_slice()].0.xattrs, xattrs);
}
