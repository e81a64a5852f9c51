//! Each test is a rule, shown by the smallest packages that show it. The expectations are what apk 2.14.0 left on disk
//! for the same packages, unless the test says otherwise.

use super::*;
use crate::apk::package::fixture::{entry, package};
use crate::apk::{Checksum, Dependency};
use crate::table::Id as _;

fn dir(path: &str, mode: u32) -> PackageEntry {
    entry(path, EntryKind::Directory, mode)
}

fn file(path: &str, content: &str) -> PackageEntry {
    let mut entry = entry(path, EntryKind::File, 0o644);
    entry.header.size = content.len() as u64;
    entry.header.checksum = Some(Checksum::of(content));
    entry.content = Some(content.into());
    entry
}

fn link(path: &str, target: &str) -> PackageEntry {
    entry(path, EntryKind::Symlink(target.into()), 0o777)
}

fn hard(path: &str, target: &str) -> PackageEntry {
    entry(path, EntryKind::Hardlink(target.into()), 0o644)
}

fn owned(mut entry: PackageEntry, user: &str, uid: u32, group: &str, gid: u32) -> PackageEntry {
    (entry.header.user, entry.header.group) = (user.to_owned(), group.to_owned());
    (entry.header.uid, entry.header.gid) = (uid, gid);
    entry
}

fn replacing(mut files: PackageFiles, what: &str, priority: Option<u32>) -> PackageFiles {
    files.control.package.replaces = Dependency::parse_list(what).unwrap();
    files.control.package.replaces_priority = priority;
    files
}

fn of_origin(mut files: PackageFiles, origin: &str) -> PackageFiles {
    files.control.package.origin = Some(origin.to_owned());
    files
}

fn merged(packages: &[PackageFiles]) -> Merged {
    merge(packages.to_vec(), &Accounts::default()).unwrap()
}

fn refused(packages: &[PackageFiles]) -> String {
    merge(packages.to_vec(), &Accounts::default()).unwrap_err().to_string()
}

fn at<'a>(merged: &'a Merged, path: &str) -> &'a Node {
    merged.tree.get(&TreePath::new(path).unwrap()).unwrap_or_else(|| panic!("{path} is not in the tree"))
}

/// Mode, uid and gid.
fn rights(merged: &Merged, path: &str) -> (u32, u32, u32) {
    let node = at(merged, path);
    (node.mode, node.uid, node.gid)
}

/// Which package's file is at the path.
fn holder(merged: &Merged, path: &str) -> usize {
    at(merged, path).source().unwrap().package.number()
}

fn files_of(merged: &Merged, package: usize) -> Vec<String> {
    merged.packages.items()[package].owned.files.iter().map(|file| file.declared.to_string()).collect()
}

#[test]
fn a_shared_directory_has_the_bits_that_all_give_it() {
    let merged = merged(&[
        package("a", vec![dir("x", 0o1777), dir("w", 0o750)]),
        package("b", vec![dir("x", 0o755), dir("w", 0o705)]),
    ]);
    assert_eq!(rights(&merged, "x"), (0o755, 0, 0));
    assert_eq!(rights(&merged, "w"), (0o700, 0, 0));
}

#[test]
fn a_shared_directory_belongs_to_the_smallest_owner_who_alone_sets_its_mode() {
    let ours = |name, mode, uid, gid| package(name, vec![owned(dir("y", mode), "u", uid, "g", gid)]);
    for order in [[("a", 0o555, 5, 7), ("b", 0o2777, 3, 9)], [("b", 0o2777, 3, 9), ("a", 0o555, 5, 7)]] {
        let packages = order.map(|(name, mode, uid, gid)| ours(name, mode, uid, gid));
        assert_eq!(rights(&merged(&packages), "y"), (0o2777, 3, 9));
    }
    let same_user = [ours("a", 0o570, 4, 4), ours("b", 0o507, 4, 3)];
    assert_eq!(rights(&merged(&same_user), "y"), (0o507, 4, 3));
}

#[test]
fn the_last_word_of_one_package_on_its_directory_counts() {
    assert_eq!(rights(&merged(&[package("a", vec![dir("x", 0o750), dir("x", 0o705)])]), "x"), (0o705, 0, 0));
}

#[test]
fn directories_that_apk_makes_first_keep_their_modes() {
    let packages =
        [package("a", vec![dir("tmp", 0o700), owned(dir("etc", 0o700), "u", 3, "g", 3), dir("proc", 0o755)])];
    let merged = merged(&packages);
    assert_eq!(rights(&merged, "tmp"), (0o1777, 0, 0));
    assert_eq!(rights(&merged, "etc"), (0o755, 0, 0));
    assert_eq!(rights(&merged, "proc"), (0o555, 0, 0));
    assert_eq!(rights(&merged, "var/cache/apk"), (0o755, 0, 0));
}

#[test]
fn two_packages_with_different_files_clash() {
    let clash = |a, b| refused(&[package("a", vec![dir("x", 0o755), a]), package("b", vec![dir("x", 0o755), b])]);
    let message = "packages a-1-r0 and b-1-r0 both contain x/f, and neither replaces the other";
    assert_eq!(clash(file("x/f", "A"), file("x/f", "B")), message);
    assert_eq!(clash(link("x/f", "A"), file("x/f", "B")), message);
    assert_eq!(clash(link("x/f", "A"), link("x/f", "B")), message);
    assert_eq!(clash(file("x/f", "A"), owned(file("x/f", "A"), "u", 1, "g", 1)), message, "other owner");
}

#[test]
fn the_same_file_in_two_packages_is_the_first_ones() {
    // apk 2.14 refuses this, too; nothing is lost by taking it.
    let merged = merged(&[package("a", vec![file("f", "A")]), package("b", vec![file("f", "A")])]);
    assert_eq!(holder(&merged, "f"), 0);
    assert_eq!((files_of(&merged, 0).len(), files_of(&merged, 1).len()), (1, 0));
}

#[test]
fn of_one_origin_the_later_package_wins() {
    let a = || of_origin(package("a", vec![file("f", "A")]), "o");
    let b = || of_origin(package("b", vec![file("f", "B")]), "o");
    let both = merged(&[a(), b()]);
    assert_eq!((holder(&both, "f"), files_of(&both, 0).len(), files_of(&both, 1).len()), (1, 0, 1));
    assert_eq!(holder(&merged(&[b(), a()]), "f"), 1);
    assert_eq!(holder(&merged(&[replacing(a(), "b", Some(9)), b()]), "f"), 1, "whatever they replace");
}

#[test]
fn replaces_decides() {
    let (a, b) = (|| package("a", vec![file("f", "A")]), || package("b", vec![file("f", "B")]));
    assert_eq!(holder(&merged(&[a(), replacing(b(), "a", None)]), "f"), 1);
    assert_eq!(holder(&merged(&[replacing(a(), "b", None), b()]), "f"), 0);
    assert_eq!(holder(&merged(&[replacing(a(), "b", None), replacing(b(), "a", None)]), "f"), 1);
    assert_eq!(holder(&merged(&[replacing(a(), "b", Some(2)), replacing(b(), "a", Some(1))]), "f"), 0);
    assert_eq!(holder(&merged(&[replacing(a(), "b", Some(1)), replacing(b(), "a", Some(1))]), "f"), 1);
}

#[test]
fn replaces_holds_for_the_versions_that_it_names() {
    let (a, b) = (|| package("a", vec![file("f", "A")]), || package("b", vec![file("f", "B")]));
    assert_eq!(holder(&merged(&[a(), replacing(b(), "a<2", None)]), "f"), 1);
    assert!(refused(&[a(), replacing(b(), "a<1", None)]).contains("neither replaces"));
    assert!(refused(&[replacing(a(), "", Some(2)), b()]).contains("neither replaces"), "priority alone is nothing");
}

#[test]
fn a_file_is_never_a_directory() {
    let (file, dir) = (|| package("f", vec![file("x", "A")]), || package("d", vec![dir("x", 0o755)]));
    let message = "x is a directory in d-1-r0 and something else in f-1-r0";
    assert_eq!(refused(&[file(), dir()]), message);
    assert_eq!(refused(&[dir(), file()]), message);
    let link = package("f", vec![link("x", "y")]);
    assert_eq!(refused(&[dir(), link]), message);
}

#[test]
fn what_is_under_anothers_link_goes_where_the_link_leads() {
    let base = package("base", vec![dir("run", 0o755), dir("var", 0o755), link("var/run", "/run")]);
    let daemon = vec![
        dir("var", 0o755),
        owned(dir("var/run", 0o700), "u", 3, "g", 3),
        dir("var/run/d", 0o750),
        file("var/run/d/f", "x"),
    ];
    let merged = merged(&[base, package("daemon", daemon)]);
    assert_eq!(rights(&merged, "run"), (0o755, 0, 0), "the link's target keeps its owner and mode");
    assert_eq!(rights(&merged, "run/d"), (0o750, 0, 0));
    assert_eq!(holder(&merged, "run/d/f"), 1);
    assert_eq!(files_of(&merged, 1), ["var/run/d/f"], "the database has the path as the package has it");
}

#[test]
fn a_link_that_leads_nowhere_takes_no_directory() {
    let packages = [package("a", vec![link("y", "z")]), package("b", vec![dir("y", 0o755)])];
    assert_eq!(
        refused(&packages),
        "package b-1-r0 contains the directory y, but a-1-r0 has a link there that doesn't lead to a directory"
    );
}

#[test]
fn no_package_leads_its_files_elsewhere_by_its_own_link() {
    let through = refused(&[package("a", vec![dir("etc", 0o755), link("y", "etc"), file("y/passwd", "x")])]);
    assert_eq!(through, "package a-1-r0 puts y/passwd below its own symbolic link y");
    let with_directory = refused(&[package("a", vec![link("y", "etc"), dir("y", 0o755), file("y/passwd", "x")])]);
    assert_eq!(with_directory, "package a-1-r0 puts y below its own symbolic link y");
    let directory_below = refused(&[package("a", vec![dir("etc", 0o755), link("y", "etc"), dir("y/d", 0o755)])]);
    assert_eq!(directory_below, "package a-1-r0 puts y/d below its own symbolic link y");
}

#[test]
fn a_file_needs_its_directory_in_the_same_package_before_it() {
    let message = "package a-1-r0 contains x/f but not its directory";
    assert_eq!(refused(&[package("a", vec![file("x/f", "")])]), message);
    assert_eq!(refused(&[package("a", vec![file("x/f", ""), dir("x", 0o755)])]), message);
    assert_eq!(refused(&[package("x", vec![dir("x", 0o755)]), package("a", vec![file("x/f", "")])]), message);
}

#[test]
fn a_directory_may_be_in_an_earlier_packages_directory() {
    let merged_ok = merged(&[package("a", vec![dir("x", 0o711)]), package("b", vec![dir("x/y", 0o700)])]);
    assert_eq!(rights(&merged_ok, "x/y"), (0o700, 0, 0));
    assert!(refused(&[package("b", vec![dir("x/y", 0o700)])]).contains("but not its directory"));
}

#[test]
fn a_path_is_once_in_a_package() {
    assert_eq!(refused(&[package("a", vec![file("f", "A"), file("f", "B")])]), "package a-1-r0 contains f twice");
}

#[test]
fn names_at_the_top_that_begin_with_a_dot_are_left_out() {
    let merged = merged(&[package(
        "a",
        vec![
            dir(".", 0o700),
            file(".dummy", ""),
            dir(".d", 0o755),
            file(".d/f", ""),
            dir("x", 0o755),
            file("x/.h", ""),
        ],
    )]);
    assert_eq!(files_of(&merged, 0), ["x/.h"]);
    assert!(merged.tree.get(&TreePath::new(".d").unwrap()).is_none());
}

#[test]
fn owners_names_count_from_the_next_package_on() {
    let accounts = vec![dir("etc", 0o755), file("etc/passwd", "foo:x:12:1::/:\n"), file("etc/group", "bar:x:34:\n")];
    let user = || vec![owned(file("f", ""), "foo", 5, "bar", 6), owned(file("g", ""), "no", 5, "no", 6)];
    let after = merged(&[package("a", accounts.clone()), package("b", user())]);
    assert_eq!((rights(&after, "f"), rights(&after, "g")), ((0o644, 12, 34), (0o644, 5, 6)));
    assert_eq!(after.packages.items()[1].owned.files[0].node.uid, 12);
    let before = merged(&[package("b", user()), package("a", accounts.clone())]);
    assert_eq!(rights(&before, "f"), (0o644, 5, 6));
    let with_it = merged(&[package("a", [accounts, user()].concat())]);
    assert_eq!(rights(&with_it, "f"), (0o644, 5, 6));
}

#[test]
fn hard_links_share_a_file() {
    let mut setuid = file("s", "S");
    setuid.header.mode = 0o4755;
    let merged = merged(&[package("a", vec![setuid, hard("t", "s"), hard("u", "t")])]);
    assert_eq!(at(&merged, "t"), at(&merged, "s"));
    assert_eq!(rights(&merged, "u"), (0o4755, 0, 0));
    assert_eq!(merged.tree.link_counts().into_values().collect::<Vec<_>>(), [3]);
}

#[test]
fn a_hard_links_target_is_an_earlier_file_of_its_package() {
    let message = r#"package b-1-r0: the target "s" of the hard link t is not an earlier file of the package"#;
    assert_eq!(refused(&[package("b", vec![hard("t", "s"), file("s", "S")])]), message);
    assert_eq!(refused(&[package("a", vec![file("s", "S")]), package("b", vec![hard("t", "s")])]), message);
    let lost =
        [replacing(package("a", vec![file("s", "A")]), "b", None), package("b", vec![file("s", "B"), hard("t", "s")])];
    assert_eq!(refused(&lost), message);
    assert!(refused(&[package("b", vec![file("s", "S"), hard("t", "/s")])]).contains(r#"the target "/s""#));
}

#[test]
fn a_hard_link_keeps_its_content_when_another_package_takes_the_targets_name() {
    let packages =
        [package("a", vec![file("s", "A"), hard("t", "s")]), replacing(package("b", vec![file("s", "B")]), "a", None)];
    let merged = merged(&packages);
    assert_eq!((holder(&merged, "s"), holder(&merged, "t")), (1, 0));
    assert_eq!(files_of(&merged, 0), ["t"]);
    assert!(merged.tree.link_counts().is_empty());
}

#[test]
fn hostile_entries_name_package_and_path() {
    let device = EntryKind::CharDevice(crate::apk::tar::Device { major: 1, minor: 3 });
    let kind = "package a-1-r0 contains null, which is a device node; images can contain only files, directories, \
                links and pipes";
    assert_eq!(refused(&[package("a", vec![entry("null", device, 0o666)])]), kind);
    for (name, why) in [
        ("/abs", r#"package a-1-r0 contains a file name that is absolute: "/abs""#),
        ("x/../../y", r#"package a-1-r0 contains a file name that contains "..": "x/../../y""#),
        ("../y", r#"package a-1-r0 contains a file name that contains "..": "../y""#),
        ("./y", r#"package a-1-r0 contains a file name that contains "." or an empty component: "./y""#),
        (
            "x/.wh.y",
            r#"package a-1-r0 contains a file name that starts with .wh., which marks deleted files in layers: "x/.wh.y""#,
        ),
        ("x\0y", r#"package a-1-r0 contains a file name that contains a control character: "x\0y""#),
    ] {
        assert_eq!(refused(&[package("a", vec![dir("x", 0o755), file(name, "")])]), why);
    }
}
