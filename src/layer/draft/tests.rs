use super::*;
use crate::apk::package::PackageFiles;
use crate::config::{BakedFile, Contents, FileRule};
use crate::layer::fixture::{dir, file, header, link, package, path};
use crate::rootfs::{Additions, assemble};

fn group(packages: &[usize]) -> Group {
    let packages = packages.iter().map(|number| PackageId::new(*number)).collect();
    Group { packages, images: vec!["image".to_owned()] }
}

fn made(packages: &[PackageFiles], additions: &Additions<'_>, groups: &[&[usize]]) -> Vec<Draft> {
    let merged = assemble(packages.to_vec(), additions).unwrap();
    drafts(&merged, &groups.iter().map(|packages| group(packages)).collect::<Vec<_>>()).unwrap()
}

/// `path` and what is special about it, for each entry of a layer.
fn shown(draft: &Draft) -> Vec<String> {
    let DraftContent::Segments { segments, .. } = &draft.content else { return vec!["member".to_owned()] };
    let line = |segment: &Segment, item: &Item| {
        let what = match (&item.header.kind, &item.content) {
            (EntryKind::Directory, _) => format!("{:o}", item.header.mode),
            (EntryKind::Hardlink(target), _) => format!("= {}", String::from_utf8_lossy(target)),
            (EntryKind::Symlink(target), _) => format!("> {}", String::from_utf8_lossy(target)),
            (_, ItemContent::Package(entry)) => {
                format!("from {}:{}", segment.package.unwrap().number(), entry.number())
            }
            _ => "here".to_owned(),
        };
        format!("{} {what}", item.header.display_path())
    };
    segments.iter().flat_map(|segment| segment.items.iter().map(move |item| line(segment, item))).collect()
}

/// What an upper layer holds in addition to what apk itself creates in every image.
fn top(drafts: &[Draft]) -> Vec<String> {
    let skeleton = ["dev", "etc/apk", "lib", "proc", "tmp", "var"];
    let mut lines = shown(drafts.last().unwrap());
    lines.retain(|line| {
        !skeleton.iter().any(|it| line.starts_with(&format!("{it} ")) || line.starts_with(&format!("{it}/")))
    });
    lines
}

fn hard(path: &str, target: &str) -> crate::apk::package::PackageEntry {
    let mut entry = file(path, 0);
    entry.header.kind = EntryKind::Hardlink(target.into());
    entry
}

#[test]
fn a_package_alone_is_its_member_and_others_are_segments() {
    let big = package("big", vec![dir("usr"), file("usr/big", 9)]);
    let a = package("a", vec![dir("etc"), file("etc/a", 1), hard("etc/a2", "etc/a"), link("etc/l", "a")]);
    let b = package("b", vec![dir("etc"), dir("usr"), dir("usr/b"), file("usr/b/b", 2)]);
    let drafts = made(&[big, a, b], &Additions::default(), &[&[0], &[1, 2]]);
    assert_eq!(drafts[0].content, DraftContent::Member(PackageId::new(0)));
    assert_eq!(
        shown(&drafts[1]),
        ["etc 755", "usr 755", "usr/b 755", "etc/a from 1:1", "etc/a2 = etc/a", "etc/l > a", "usr/b/b from 2:3"]
    );
    assert_eq!(top(&drafts), ["etc 755"], "which etc/apk is in");
}

#[test]
fn the_top_layer_has_what_the_recipe_says() {
    let packages =
        [package("big", vec![dir("etc"), file("etc/conf", 9), file("etc/other", 9), hard("etc/o", "etc/other")])];
    let rule: FileRule = toml::from_str("path = \"/etc/other\"\nmode = \"0600\"").unwrap();
    let directory = toml::from_str("path = \"/etc\"\nmode = \"0711\"").unwrap();
    let contents = Contents::File { mode: 0o644, bytes: b"own".to_vec() };
    let baked = [BakedFile { path: "/etc/conf".parse().unwrap(), contents }];
    let additions =
        Additions { rules: vec![&rule], directories: vec![&directory], baked: &baked, ..Default::default() };
    let drafts = made(&packages, &additions, &[&[0]]);
    assert_eq!(shown(&drafts[0]), ["member"]);
    assert_eq!(top(&drafts), ["etc 711", "etc/conf here", "etc/o from 0:2", "etc/other = etc/o"]);
}

#[test]
fn the_recipes_word_on_a_file_is_heard_in_its_segment() {
    let packages = [package("a", vec![dir("etc"), file("etc/a", 1)]), package("b", vec![dir("etc"), file("etc/b", 1)])];
    let rule: FileRule = toml::from_str("path = \"/etc/a\"\nmode = \"0600\"").unwrap();
    let drafts = made(&packages, &Additions { rules: vec![&rule], ..Default::default() }, &[&[0, 1]]);
    let DraftContent::Segments { segments, .. } = &drafts[0].content else { panic!("segments") };
    assert_eq!(segments[1].items[0].header.mode, 0o600);
    assert_eq!(top(&drafts), ["etc 755"]);
}

#[test]
fn directories_in_which_a_layer_differs_from_the_tree_are_repaired_on_top() {
    let mut early = package("early", vec![dir("opt"), file("opt/early", 1)]);
    let mut late = package("late", vec![dir("opt"), file("opt/late", 1)]);
    header(&mut early, 0).mtime = 100;
    header(&mut late, 0).mtime = 200;
    let drafts = made(&[early.clone(), late.clone()], &Additions::default(), &[&[0], &[1]]);
    assert_eq!(shown(&drafts[1]), ["member"]);
    assert_eq!(top(&drafts), ["etc 755", "opt 755"], "its time is that of the first package that has it");
    let drafts = made(&[early, late], &Additions::default(), &[&[1], &[0]]);
    assert_eq!(top(&drafts), ["etc 755"]);
}

#[test]
fn a_groups_layer_is_the_same_whatever_else_is_in_the_image() {
    let a = package("a", vec![dir("srv"), file("srv/a", 1)]);
    let b = package("b", vec![dir("srv"), file("srv/b", 1)]);
    let mut other = package("other", vec![dir("srv"), file("srv/other", 1)]);
    header(&mut other, 0).mode = 0o700;
    let key = |packages: &[PackageFiles], groups: &[&[usize]]| {
        let digest = |package: PackageId| Sha256::of(&packages[package.number()].control.package.name);
        made(packages, &Additions::default(), groups)[0].key(digest)
    };
    assert_eq!(key(&[a.clone(), b.clone()], &[&[0, 1]]), key(&[other.clone(), a.clone(), b.clone()], &[&[1, 2], &[0]]));
    assert_ne!(key(&[a.clone(), b.clone()], &[&[0, 1]]), key(&[other, a, b], &[&[0, 1, 2]]));
}

#[test]
fn a_package_that_is_not_safe_says_why_and_is_a_segment() {
    let dummy = package("virtual", vec![dir("usr"), file(".dummy", 0), file("usr/x", 1)]);
    let drafts = made(&[dummy], &Additions::default(), &[&[0]]);
    let DraftContent::Segments { reason, .. } = &drafts[0].content else { panic!("segments") };
    assert_eq!(*reason, Some(NotVerbatim::NotInstalled { path: path(".dummy") }));
    assert_eq!(shown(&drafts[0]), ["usr 755", "usr/x from 0:2"]);
}
