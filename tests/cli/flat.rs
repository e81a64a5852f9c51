//! The flat oracle, in memory: applied in order, an image's layers give the merged tree. Also tests what the oracle
//! notices.

use std::collections::{BTreeMap, BTreeSet};

use mailimg::apk::tar::{self, Entry, EntryKind};
use mailimg::digest::Sha256;

use crate::common::flat::{self, Expected, FlatTree, Kind, assert_none, differences, hard, layers, reference};
use crate::common::project::Project;

#[test]
fn layers_of_made_up_images_make_their_merged_trees() {
    let project = hard::project();
    let trees = reference::trees(&project);
    hard_cases_are_there(&trees);
    let layout = project.path().join("oci");
    // From one package per layer to all packages in one, with segments from earlier builds.
    let site = project.read("mailimg.toml");
    for layers in [hard::LAYERS, "layers = 12", "layers = 5", "layers = 2"] {
        project.write("mailimg.toml", site.replace(hard::LAYERS, layers));
        project.run(["build"]);
        if layers == hard::LAYERS {
            verbatim_where_it_can_be(&project);
        }
        let mut lines = Vec::new();
        for (image, tree) in &trees {
            let found = layers::unpacked(&layout, image)
                .map_or_else(|reason| vec![reason], |found| differences(tree, &found, &[]));
            lines.extend(found.into_iter().map(|line| format!("{image}: {line}")));
        }
        assert_none(&lines, layers);
    }
}

/// The packages that are verbatim layers of an image.
fn verbatim(project: &Project, image: &str) -> BTreeSet<String> {
    let members = reference::members(project, image);
    let digests = layers::digests(&project.path().join("oci"), image);
    digests.iter().filter_map(|digest| members.get(digest).cloned()).collect()
}

/// The test is only meaningful if some packages, but not all, are verbatim layers.
fn verbatim_where_it_can_be(project: &Project) {
    let everything = verbatim(project, "everything");
    for package in ["big", "ended-late", "hardlinks", "modes", "names", "new", "pax"] {
        assert!(everything.contains(package), "{package} could be a layer as it is; those that are: {everything:?}");
    }
    for package in [
        "base",
        "caps",
        "gnu",
        "headless",
        "hidden",
        "kept-out",
        "liars",
        "old",
        "pieces",
        "shared-too",
        "sticky",
        "svc",
        "through",
        "twice",
        "unended",
    ] {
        assert!(!everything.contains(package), "{package} can't be a layer as it is");
    }
    let some = verbatim(project, "some");
    assert!(some.contains("svc") && some.contains("old"), "where owners are right and nothing is replaced: {some:?}");
}

/// Worked out by hand from the rules in `docs/file-tree.md`.
fn hard_cases_are_there(trees: &BTreeMap<String, FlatTree>) {
    assert_eq!(trees.len(), hard::IMAGES.len());
    let tree = &trees["everything"];
    for (path, expected) in [
        ("bin", "link to usr/bin, 0777 0:0"),
        ("usr/bin/through", "file 0755 0:0"),
        ("usr/sbin/through", "file 0755 0:0"),
        ("run/through", "directory 0750 0:0"),
        ("tmp", "directory 1777 0:0"),
        ("var/tmp", "directory 0755 0:0"),
        ("srv/svc", "directory 2770 700:700"),
        ("srv/svc/pipe", "pipe 0600 700:700"),
        ("usr/bin/svc", "file 2755 700:700"),
        ("usr/bin/setuid", "file 4755 0:0"),
        ("usr/share/links/two-a", "file 4710 700:700"),
        ("usr/share/links/z-three", "file 4755 0:0"),
        ("usr/share/caps/alone", "file 0700 0:0"),
        ("usr/share/listed", "directory 0750 0:0"),
        ("usr/share/headless", "directory 0711 0:0"),
        ("usr/share/directories/of-svc", "directory 0755 700:700"),
        ("usr/share/directories/own", "directory 1750 0:700"),
        ("usr/share/plain/link", "link to ../elsewhere, 0777 0:0"),
        ("usr/share/taken/becomes-link", "link to file, 0777 0:0"),
        ("usr/share/taken/becomes-file", "file 0600 0:0"),
        ("usr/share/taken/becomes-pipe", "pipe 0600 0:0"),
    ] {
        assert_eq!(tree.get(path.as_bytes()).map(short).as_deref(), Some(expected), "{path}");
    }
    for path in [".dummy", ".more", "bin/through", "var/run/through"] {
        assert!(tree.get(path.as_bytes()).is_none(), "{path}");
    }
    for (path, content) in [
        ("usr/share/taken/file", "new content"),
        ("usr/share/taken/pair-a", "no longer of the pair"),
        ("usr/share/taken/pair-b", "old pair"),
        ("usr/share/kept/file", "the earlier one's"),
        ("usr/share/links/other-a", "baked"),
        ("etc/plain", "baked"),
        ("usr/bin/baked", "baked"),
    ] {
        let expected = Kind::File { size: content.len() as u64, sha256: Sha256::of(content) };
        assert_eq!(tree.get(path.as_bytes()).unwrap().kind, expected, "{path}");
    }
    let one = |one: &str, other: &str| tree.is_one_file(one.as_bytes(), other.as_bytes());
    assert!(one("usr/share/links/z-three", "usr/share/links/below/three-c"));
    assert!(one("usr/share/links/other-b", "usr/share/links/other-c"));
    assert!(!one("usr/share/links/other-a", "usr/share/links/other-c"));
    assert!(one("usr/share/caps/first", "usr/share/caps/second"));
    assert!(tree.get(b"usr/share/caps/second").unwrap().xattrs.contains_key("security.capability"));
    assert_eq!(trees["most"].get(b"usr/bin/svc").unwrap().uid, 800);
    assert_eq!(trees["some"].get(b"usr/bin/svc").unwrap().uid, 300);
    assert!(trees["least"].get(b"usr/bin/svc").is_none());
}

/// The attributes of a path, without size, time and content.
fn short(entry: &flat::Entry) -> String {
    let kind = match &entry.kind {
        Kind::Directory => "directory".to_owned(),
        Kind::File { .. } => "file".to_owned(),
        Kind::Symlink(target) => format!("link to {},", target.escape_ascii()),
        Kind::Fifo => "pipe".to_owned(),
        Kind::Other(_) => "other".to_owned(),
    };
    format!("{kind} {:04o} {}:{}", entry.mode, entry.uid, entry.gid)
}

/// A layer with these entries, each a path and its attributes.
fn layer(entries: &[(&str, EntryKind)]) -> Vec<u8> {
    let mut archive = Vec::new();
    for (path, kind) in entries {
        let size = u64::from(*kind == EntryKind::File);
        let entry = Entry { size, ..Entry::new(*path, kind.clone(), 0o755) };
        tar::append(&mut archive, &entry, &mut &b"x"[..size.try_into().unwrap()]).unwrap();
    }
    tar::end(&mut archive);
    archive
}

fn hardlink(target: &str) -> EntryKind {
    EntryKind::Hardlink(target.into())
}

#[test]
fn what_engines_take_differently_is_refused() {
    use EntryKind::{Directory, File};
    let good =
        [("etc", Directory), ("etc/a", File), ("etc/b", hardlink("etc/a")), ("etc/l", EntryKind::Symlink("a".into()))];
    assert_eq!(layers::apply(&mut FlatTree::default(), &layer(&good)), Ok(()));
    let entries: [(&[(&str, EntryKind)], &str); 9] = [
        (&[("etc", Directory), ("etc", Directory)], "etc: twice in one layer"),
        (&[("a", File), ("a", File)], "a: twice in one layer"),
        (&[("etc", Directory), ("etc/b", hardlink("etc/a"))], "etc/b: a hard link to etc/a, no file"),
        (&[("b", hardlink("a")), ("a", File)], "b: a hard link to a, no file"),
        (&[("a", Directory), ("b", hardlink("a"))], "b: a hard link to a, no file"),
        (&[("etc/a", File)], "etc/a: etc is no directory that comes before it"),
        (&[("etc", EntryKind::Symlink("usr".into())), ("etc/a", File)], "etc/a: etc is no directory"),
        (&[("etc", Directory), ("etc/.wh.a", File)], "etc/.wh.a: a whiteout"),
        (&[("null", EntryKind::CharDevice(tar::Device { major: 1, minor: 3 }))], "null: something of tar's type 3"),
    ];
    for (entries, expected) in entries {
        let below = layer(&[("etc", Directory), ("etc/a", File), ("usr", Directory)]);
        let mut tree = FlatTree::default();
        layers::apply(&mut tree, &below).unwrap();
        let refused = layers::apply(&mut tree, &layer(entries)).unwrap_err();
        assert!(refused.contains(expected), "{expected:?} in {refused:?}");
    }
    for kind in [b'S', b'7', b'g'] {
        let mut header = ::tar::Header::new_gnu();
        header.set_path("strange").unwrap();
        header.set_entry_type(::tar::EntryType::new(kind));
        header.set_size(0);
        header.as_gnu_mut().unwrap().set_real_size(0);
        header.set_cksum();
        let mut archive = header.as_bytes().to_vec();
        tar::end(&mut archive);
        let refused = layers::apply(&mut FlatTree::default(), &archive).unwrap_err();
        assert!(refused.contains("which engines don't know"), "{refused}");
    }
    let whole = layer(&good);
    let without_end = &whole[..whole.len() - 1024];
    for (bytes, expected) in [
        (without_end.to_vec(), "0 bytes at the end"),
        (whole[..whole.len() - 512].to_vec(), "512 bytes at the end"),
        ([whole.as_slice(), &layer(&[("lost", File)])].concat(), "something follows the end of the archive"),
    ] {
        let refused = layers::apply(&mut FlatTree::default(), &bytes).unwrap_err();
        assert!(refused.contains(expected), "{expected:?} in {refused:?}");
    }
}

#[test]
fn a_hard_link_that_says_something_else_of_its_file_is_refused() {
    let file = Entry::new("a", EntryKind::File, 0o644);
    let link = Entry::new("b", hardlink("a"), 0o644);
    let with_capability = |mut entry: Entry| {
        entry.xattrs.insert("security.capability".to_owned(), b"\0".to_vec());
        entry
    };
    for (file, link, refused) in [
        (file.clone(), link.clone(), false),
        (file.clone(), Entry { mode: 0o600, ..link.clone() }, true),
        (file.clone(), Entry { uid: 1, ..link.clone() }, true),
        (file.clone(), Entry { gid: 1, ..link.clone() }, true),
        (file.clone(), Entry { mtime: 1, ..link.clone() }, true),
        (with_capability(file.clone()), link.clone(), true),
        (with_capability(file), with_capability(link), false),
    ] {
        let mut archive = [tar::header(&file), tar::header(&link)].concat();
        tar::end(&mut archive);
        assert_eq!(layers::apply(&mut FlatTree::default(), &archive).is_err(), refused, "{link:?}");
    }
}

#[test]
fn upper_layers_win() {
    use EntryKind::{Directory, File};
    let mut tree = FlatTree::default();
    let below = [("a", Directory), ("a/x", File), ("a/y", hardlink("a/x")), ("bin", EntryKind::Symlink("a".into()))];
    layers::apply(&mut tree, &layer(&below)).unwrap();
    layers::apply(&mut tree, &layer(&[("a", Directory), ("a/x", EntryKind::Fifo), ("bin", Directory)])).unwrap();
    let kind = |path: &str| tree.get(path.as_bytes()).map(short).unwrap_or_default();
    assert_eq!(["a/x", "a/y", "bin"].map(kind), ["pipe 0755 0:0", "file 0755 0:0", "directory 0755 0:0"]);
    layers::apply(&mut tree, &layer(&[("a", File)])).unwrap();
    assert!(tree.get(b"a/y").is_none(), "what was in a directory goes with it");
}

#[test]
fn every_difference_is_told() {
    let file = flat::Entry {
        kind: Kind::File { size: 1, sha256: Sha256::of("x") },
        mode: 0o4755,
        uid: 1,
        gid: 2,
        mtime: 3,
        xattrs: BTreeMap::new(),
    };
    let tree = |entry: &flat::Entry| {
        let mut tree = FlatTree::default();
        tree.insert(b"file".to_vec(), entry.clone());
        tree
    };
    let expected = tree(&file);
    assert!(differences(&expected, &tree(&file), &[]).is_empty());
    let other = |change: fn(&mut flat::Entry)| {
        let mut entry = file.clone();
        change(&mut entry);
        tree(&entry)
    };
    for found in [
        FlatTree::default(),
        other(|it| it.kind = Kind::File { size: 1, sha256: Sha256::of("y") }),
        other(|it| it.kind = Kind::Symlink(b"x".to_vec())),
        other(|it| it.mode = 0o755),
        other(|it| it.uid = 0),
        other(|it| it.gid = 0),
        other(|it| it.mtime = 4),
        other(|it| drop(it.xattrs.insert("user.x".to_owned(), Vec::new()))),
    ] {
        assert_eq!(differences(&expected, &found, &[]).len(), 1);
        assert_eq!(differences(&found, &expected, &[]).len(), 1);
    }
    let (mut linked, mut copied) = (tree(&file), tree(&file));
    assert!(linked.link(b"name".to_vec(), b"file"));
    copied.insert(b"name".to_vec(), file.clone());
    assert_eq!(differences(&linked, &copied, &[]).len(), 2, "two files are not one with two names");

    let later = other(|it| it.mtime = 4);
    assert!(differences(&expected, &later, &[("file", Expected::Touched)]).is_empty());
    assert_eq!(differences(&expected, &other(|it| it.uid = 0), &[("file", Expected::Touched)]).len(), 1);
    assert!(differences(&FlatTree::default(), &later, &[("file", Expected::Made)]).is_empty());
    assert_eq!(differences(&expected, &later, &[("file", Expected::Made)]).len(), 1);
    assert!(differences(&expected, &later, &[("file", Expected::Replaced)]).is_empty());
    assert_eq!(differences(&expected, &FlatTree::default(), &[("file", Expected::Replaced)]).len(), 1);
}
