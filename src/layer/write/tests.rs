use std::collections::BTreeMap;

use camino::Utf8Path;
use proptest::prelude::*;

use super::*;
use crate::apk::tar::{Entries, Entry};

fn store(directory: &tempfile::TempDir) -> Store {
    Store::open(Utf8Path::from_path(directory.path()).unwrap()).unwrap()
}

/// Entries and their contents, by path.
type Found = BTreeMap<Vec<u8>, (Entry, Vec<u8>)>;

/// Writes a layer, reads it back, and checks what it says of itself.
fn written(store: &Store, segments: &[Segment]) -> (Layer, Found) {
    let key = Sha256::of(format!("{segments:?}"));
    let keeper = store.keeper().unwrap();
    let layer = write("test", key, segments, &Table::new(), &keeper).unwrap();
    keeper.finish().unwrap();
    assert_eq!(recall(store, key, "test").as_ref(), Some(&layer));
    let bytes = std::fs::read(store.find(&layer.digest).unwrap()).unwrap();
    assert_eq!((layer.digest, layer.size), (Sha256::of(&bytes), bytes.len() as u64));
    let mut archive = Vec::new();
    flate2::read::MultiGzDecoder::new(bytes.as_slice()).read_to_end(&mut archive).unwrap();
    assert_eq!(layer.diff_id, Sha256::of(&archive));
    let mut entries = Entries::new(archive.as_slice());
    let mut found = BTreeMap::new();
    while let Some(entry) = entries.next().unwrap() {
        let mut content = Vec::new();
        entries.content().read_to_end(&mut content).unwrap();
        found.insert(entry.path.clone(), (entry, content));
    }
    assert!(entries.ended_with_blocks());
    (layer, found)
}

fn any_item() -> impl Strategy<Value = (Entry, Vec<u8>)> {
    let content = proptest::collection::vec(any::<u8>(), 0..2000);
    let kind = prop_oneof![
        content.prop_map(|bytes| (EntryKind::File, bytes)),
        "[a-z/]{1,150}".prop_map(|target| (EntryKind::Symlink(target.into_bytes()), Vec::new())),
        Just((EntryKind::Fifo, Vec::new())),
    ];
    let numbers = (0..0o10000_u32, any::<u32>(), any::<u32>(), -10_000_i64..(1 << 40));
    ("[a-zé ]{1,120}", kind, numbers).prop_map(|(path, (kind, content), (mode, uid, gid, mtime))| {
        (Entry { uid, gid, mtime, size: content.len() as u64, ..Entry::new(path.as_bytes(), kind, mode) }, content)
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(
        items in proptest::collection::vec(any_item(), 0..12),
        cut in 0_usize..12,
    ) {
        let expected: BTreeMap<_, _> = items.iter().map(|item| (item.0.path.clone(), item.clone())).collect();
        let item = |(header, content): &(Entry, Vec<u8>)| {
            Item { header: header.clone(), content: ItemContent::Inline(content.as_slice().into()) }
        };
        let all: Vec<Item> = expected.values().map(item).collect();
        let (first, second) = all.split_at(cut.min(all.len()));
        let segments = [first, second].map(|items| Segment { package: None, items: items.to_vec() });
        let directory = tempfile::tempdir().unwrap();
        let (_, found) = written(&store(&directory), &segments);
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn a_layer_of_nothing_is_an_archive() {
    let directory = tempfile::tempdir().unwrap();
    let (layer, found) = written(&store(&directory), &[]);
    assert!(found.is_empty());
    assert_eq!(layer.diff_id, Sha256::of([0; 1024]));
}

#[test]
fn a_layer_that_the_store_lost_is_not_recalled() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(&directory);
    let key = Sha256::of("key");
    let keeper = store.keeper().unwrap();
    let layer = write("test", key, &[], &Table::new(), &keeper).unwrap();
    keeper.finish().unwrap();
    std::fs::remove_file(store.find(&layer.digest).unwrap()).unwrap();
    assert_eq!(recall(&store, key, "test"), None);
}
