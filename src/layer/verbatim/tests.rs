use super::*;
use crate::apk::package::PackageFiles;
use crate::config::FileRule;
use crate::layer::fixture::{dir, file, header, link, named, package, path};
use crate::rootfs::{Accounts, Additions, Merged, assemble, merge};

/// Whether the last of the packages can be a verbatim layer.
fn last(packages: &[PackageFiles]) -> Result<(), NotVerbatim> {
    checked(&merge(packages.to_vec(), &Accounts::default()).unwrap())
}

fn checked(merged: &Merged) -> Result<(), NotVerbatim> {
    check(merged.packages.items().last().unwrap(), &merged.tree)
}

fn plain() -> PackageFiles {
    package("plain", vec![dir("usr"), dir("usr/bin"), file("usr/bin/a", 3), link("usr/bin/b", "a")])
}

#[test]
fn a_plain_package_is_safe() {
    assert_eq!(last(&[plain()]), Ok(()));
}

#[test]
fn several_gzip_streams_are_not() {
    assert_eq!(last(&[PackageFiles { data_streams: 2, ..plain() }]), Err(NotVerbatim::Streams { streams: 2 }));
}

#[test]
fn an_archive_without_an_end_is_not() {
    assert_eq!(last(&[PackageFiles { ends_with_blocks: false, ..plain() }]), Err(NotVerbatim::NoEnd));
}

#[test]
fn entries_that_not_every_reader_knows_are_not() {
    assert_eq!(last(&[PackageFiles { portable: false, ..plain() }]), Err(NotVerbatim::NotPortable));
}

#[test]
fn what_apk_leaves_out_may_not_be_in_it() {
    let dummy = package("virtual", vec![file(".dummy", 0)]);
    assert_eq!(last(&[dummy]), Err(NotVerbatim::NotInstalled { path: path(".dummy") }));
}

#[test]
fn a_file_that_another_package_has_may_not_be_in_it() {
    let mut second = package("second", vec![dir("usr"), dir("usr/bin"), file("usr/bin/a", 3)]);
    let taken = |owner: PackageFiles, other: PackageFiles| {
        let merged = merge(vec![owner, other], &Accounts::default()).unwrap();
        check(merged.packages.items().first().unwrap(), &merged.tree)
    };
    let expected = Err(NotVerbatim::NotInstalled { path: path("usr/bin/a") });
    second.control.package.replaces = vec!["plain".parse().unwrap()];
    assert_eq!(taken(plain(), second.clone()), expected, "replaced by a later package");
    assert_eq!(last(&[plain(), second.clone()]), Ok(()), "which is safe itself");
    let mut first = plain();
    first.control.package.replaces = vec!["second".parse().unwrap()];
    second.control.package.replaces = Vec::new();
    assert_eq!(last(&[first, second]), expected, "kept by an earlier one");
}

#[test]
fn nothing_may_lie_behind_another_packages_link() {
    let merged = package("merged", vec![dir("usr"), dir("usr/bin"), link("bin", "usr/bin")]);
    let behind = package("behind", vec![dir("bin"), file("bin/sh", 2)]);
    assert_eq!(last(&[merged, behind]), Err(NotVerbatim::BehindLink { path: path("bin"), actual: path("usr/bin") }));
}

#[test]
fn owners_have_to_be_the_ids_of_the_headers() {
    let of_mail = |uid, gid| {
        let (mut passwd, mut group) = (file("etc/passwd", 0), file("etc/group", 0));
        passwd.content = Some(b"mail:x:8:12::/:/sbin/nologin\n".to_vec());
        group.content = Some(b"mail:x:12:\n".to_vec());
        let base = package("base", vec![dir("etc"), passwd, group]);
        last(&[base, package("owned", vec![dir("var"), named(file("var/box", 1), "mail", uid, gid)])])
    };
    assert_eq!(of_mail(8, 12), Ok(()));
    assert!(matches!(of_mail(8, 8), Err(NotVerbatim::Owner { gid: 12, found_gid: 8, .. })));
    assert!(matches!(of_mail(100, 12), Err(NotVerbatim::Owner { uid: 8, found_uid: 100, .. })));
}

#[test]
fn directories_have_to_be_what_they_are_in_the_image() {
    let mut open = plain();
    header(&mut open, 1).mode = 0o775;
    let found = last(&[plain(), open]);
    assert_eq!(found, Err(NotVerbatim::Directory { path: path("usr/bin"), expected: 0o755, found: 0o775 }));
    let mut tmp = package("tmp", vec![dir("tmp")]);
    assert!(matches!(last(&[tmp.clone()]), Err(NotVerbatim::Directory { .. })), "/tmp is sticky whoever has it");
    header(&mut tmp, 0).mode = 0o1777;
    assert_eq!(last(&[tmp]), Ok(()));
    let mut later = plain();
    header(&mut later, 1).mtime += 1;
    assert_eq!(last(&[plain(), package("x", vec![dir("usr")])]), Ok(()));
    assert_eq!(last(&[later]), Ok(()), "times of directories are the top layer's to set");
}

#[test]
fn every_path_comes_after_its_directory() {
    let base = package("base", vec![dir("srv")]);
    let inside = package("inside", vec![dir("srv/www"), file("srv/www/index", 1)]);
    assert_eq!(last(&[base, inside]), Err(NotVerbatim::NoParent { path: path("srv/www") }));
}

#[test]
fn a_directory_is_there_once() {
    let twice = package("twice", vec![dir("usr"), dir("usr")]);
    assert_eq!(last(&[twice]), Err(NotVerbatim::Twice { path: path("usr") }));
}

#[test]
fn hard_links_lead_to_what_is_before_them_in_the_package() {
    let hard = |target: &str| {
        let mut entry = file("usr/bin/c", 0);
        entry.header.kind = EntryKind::Hardlink(target.as_bytes().to_vec());
        entry
    };
    let mut linked = plain();
    linked.entries.push(hard("usr/bin/a"));
    assert_eq!(last(&[linked.clone()]), Ok(()));
    // A tree can't be made with such a link: it is put into the package behind the tree's back.
    let Merged { tree, packages } = merge(vec![linked.clone()], &Accounts::default()).unwrap();
    header(&mut linked, 4).kind = EntryKind::Hardlink(b"usr/bin/elsewhere".to_vec());
    let owned = packages.items()[0].owned.clone();
    assert_eq!(
        check(&MergedPackage { files: linked, owned }, &tree),
        Err(NotVerbatim::Hardlink { path: path("usr/bin/c") })
    );
}

#[test]
fn hard_links_say_of_their_file_what_the_file_says() {
    let with = |change: fn(&mut Entry)| {
        let mut linked = plain();
        let mut hard = file("usr/bin/c", 0);
        hard.header.kind = EntryKind::Hardlink(b"usr/bin/a".to_vec());
        change(&mut hard.header);
        linked.entries.push(hard);
        last(&[linked])
    };
    let expected = Err(NotVerbatim::LinkAttributes { path: path("usr/bin/c") });
    assert_eq!(with(|_| ()), Ok(()));
    assert_eq!(with(|link| link.mode = 0o600), expected);
    assert_eq!(with(|link| link.mtime = 7), expected);
    assert_eq!(with(|link| drop(link.xattrs.insert("user.x".to_owned(), Vec::new()))), expected);
    assert!(matches!(with(|link| link.uid = 7), Err(NotVerbatim::Owner { .. })));
}

#[test]
fn what_the_recipe_changes_is_repaired_on_top_unless_it_is_big() {
    let rule: FileRule = toml::from_str("path = \"/usr/bin/a\"\nmode = \"2755\"").unwrap();
    let with = |size| {
        let packages = vec![package("drop", vec![dir("usr"), dir("usr/bin"), file("usr/bin/a", size)])];
        let merged = assemble(packages, &Additions { rules: vec![&rule], ..Default::default() }).unwrap();
        checked(&merged)
    };
    assert_eq!(with(REPAIR_LIMIT), Ok(()));
    let size = REPAIR_LIMIT + 1;
    assert_eq!(with(size), Err(NotVerbatim::Changed { path: path("usr/bin/a"), size }));
}
