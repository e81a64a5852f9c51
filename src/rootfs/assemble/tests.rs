use super::*;
use crate::apk::Checksum;
use crate::apk::package::fixture::{entry, package};
use crate::apk::tar::EntryKind;
use crate::rootfs::{PackageEntry, is_read};

fn file(path: &str, content: &str) -> PackageEntry {
    let mut entry = entry(path, EntryKind::File, 0o644);
    entry.header.size = content.len() as u64;
    entry.header.checksum = Some(Checksum::of(content));
    entry.content = is_read(path.as_bytes()).then(|| content.into());
    entry
}

fn dir(path: &str) -> PackageEntry {
    entry(path, EntryKind::Directory, 0o755)
}

fn base() -> PackageFiles {
    let mut shadow = file("etc/shadow", "root:*::0:::::\n");
    (shadow.header.mode, shadow.header.gid, shadow.header.group) = (0o640, 42, "shadow".to_owned());
    package(
        "base",
        vec![
            dir("etc"),
            file("etc/passwd", "root:x:0:0::/root:/bin/sh\nmail:x:8:12::/:/sbin/nologin\n"),
            file("etc/group", "root:x:0:\nshadow:x:42:\nmail:x:12:\n"),
            shadow,
            dir("usr"),
            dir("usr/sbin"),
            file("usr/sbin/postdrop", "elf"),
            entry("usr/sbin/postqueue", EntryKind::Hardlink("usr/sbin/postdrop".into()), 0o644),
        ],
    )
}

fn user(name: &str, uid: u32, group: &str) -> User {
    let text = |text: &str| text.to_owned();
    let (gecos, home, shell) = (String::new(), text("/"), text("/sbin/nologin"));
    User { name: text(name), uid, group: text(group), gecos, home, shell }
}

fn group(name: &str, gid: u32) -> Group {
    Group { name: name.to_owned(), gid, members: Vec::new() }
}

fn directory(path: &str, mode: &str, owner: &str) -> Directory {
    let (path, mode) = (path.parse().unwrap(), mode.parse().unwrap());
    Directory { path, mode, owner: owner.to_owned(), group: "root".to_owned() }
}

fn rule(path: &str, mode: &str, group: &str) -> FileRule {
    let (path, mode) = (path.parse().unwrap(), mode.parse().unwrap());
    FileRule { path, mode, owner: "root".to_owned(), group: group.to_owned() }
}

fn baked(path: &str, bytes: &str) -> BakedFile {
    BakedFile { path: path.parse().unwrap(), contents: Contents::File { mode: 0o755, bytes: bytes.into() } }
}

fn at<'a>(tree: &'a Tree, path: &str) -> &'a Node {
    tree.get(&TreePath::new(path).unwrap()).unwrap_or_else(|| panic!("{path} is not in the tree"))
}

fn text(tree: &Tree, path: &str) -> String {
    String::from_utf8(at(tree, path).inline().unwrap().to_vec()).unwrap()
}

fn refused(packages: &[PackageFiles], additions: &Additions<'_>) -> String {
    assemble(packages.to_vec(), additions).unwrap_err().to_string()
}

#[test]
fn recipes_accounts_own_packages_files_by_name() {
    let mut owned = file("etc/own", "");
    (owned.header.user, owned.header.uid) = ("postfix".to_owned(), 999);
    let packages = [package("first", vec![dir("etc"), owned]), base()];
    let (users, groups) = ([user("postfix", 207, "postfix")], [group("postfix", 207)]);
    let tree =
        assemble(packages.to_vec(), &Additions { users: &users, groups: &groups, time: 9, ..Default::default() })
            .unwrap()
            .tree;
    assert_eq!(at(&tree, "etc/own").uid, 207, "whatever the order of packages");
    assert!(text(&tree, "etc/passwd").ends_with("\npostfix:x:207:207::/:/sbin/nologin\n"));
    assert!(text(&tree, "etc/group").ends_with("\npostfix:x:207:\n"));
    assert!(text(&tree, "etc/shadow").ends_with("\npostfix:!::0:::::\n"));
    let shadow = at(&tree, "etc/shadow");
    assert_eq!((shadow.mode, shadow.gid, shadow.mtime), (0o640, 42, 9), "mode and group are the package's");
}

#[test]
fn an_image_without_account_files_gets_safe_ones() {
    let (users, groups) = ([user("u", 7, "g")], [group("g", 8)]);
    let tree = assemble(Vec::new(), &Additions { users: &users, groups: &groups, ..Default::default() }).unwrap().tree;
    assert_eq!((at(&tree, "etc/passwd").mode, at(&tree, "etc/shadow").mode), (0o644, 0o600));
}

#[test]
fn directories_are_made_or_set_right() {
    let (new, old) = (directory("/srv/a/b", "1750", "mail"), directory("/usr/sbin", "0700", "root"));
    let tree = assemble(vec![base()], &Additions { directories: vec![&new, &old], ..Default::default() }).unwrap().tree;
    assert_eq!((at(&tree, "srv/a/b").mode, at(&tree, "srv/a/b").uid), (0o1750, 8));
    assert_eq!((at(&tree, "srv/a").mode, at(&tree, "srv/a").uid), (0o755, 0));
    assert_eq!(at(&tree, "usr/sbin").mode, 0o700);
    let clash = directory("/usr/sbin/postdrop", "0700", "root");
    assert!(refused(&[base()], &Additions { directories: vec![&clash], ..Default::default() }).contains("postdrop"));
}

#[test]
fn rules_hold_for_all_names_of_a_file() {
    let set_group_id = rule("/usr/sbin/postdrop", "2755", "mail");
    let tree = assemble(vec![base()], &Additions { rules: vec![&set_group_id], ..Default::default() }).unwrap().tree;
    for name in ["usr/sbin/postdrop", "usr/sbin/postqueue"] {
        assert_eq!((at(&tree, name).mode, at(&tree, name).gid), (0o2755, 12));
    }
}

#[test]
fn rules_need_their_file_and_its_owner() {
    let absent = rule("/usr/sbin/absent", "2755", "mail");
    let message = "a rule sets the mode and owner of /usr/sbin/absent, but no package or baked file provides it";
    assert_eq!(refused(&[base()], &Additions { rules: vec![&absent], ..Default::default() }), message);
    let unknown = rule("/usr/sbin/postdrop", "2755", "postdrop");
    assert_eq!(
        refused(&[base()], &Additions { rules: vec![&unknown], ..Default::default() }),
        r#"/usr/sbin/postdrop should belong to the group "postdrop", which neither the recipe nor a package declares"#
    );
}

#[test]
fn baked_files_and_links_take_the_place_of_packages_files_but_not_of_directories() {
    let link = Link { path: "/etc/shadow".parse().unwrap(), target: "/run/shadow".to_owned() };
    let files = [baked("/usr/sbin/postdrop", "ours"), baked("/opt/x/y", "new")];
    let additions = Additions { baked: &files, links: vec![&link], time: 5, ..Default::default() };
    let tree = assemble(vec![base()], &additions).unwrap().tree;
    assert_eq!(text(&tree, "usr/sbin/postdrop"), "ours");
    assert_eq!((at(&tree, "opt/x/y").mode, at(&tree, "opt/x").mtime), (0o755, 5));
    assert_eq!(at(&tree, "etc/shadow").kind, NodeKind::Symlink(b"/run/shadow".to_vec()));
    let over_directory = [baked("/usr/sbin", "")];
    let message = refused(&[base()], &Additions { baked: &over_directory, ..Default::default() });
    assert_eq!(message, "the recipe's baked file usr/sbin conflicts with a directory");
}

#[test]
fn baked_files_follow_merged_directories() {
    let merged = package(
        "usr-merge",
        vec![dir("usr"), dir("usr/bin"), entry("bin", EntryKind::Symlink("usr/bin".into()), 0o777)],
    );
    let files = [baked("/bin/entry", "x")];
    let tree = assemble(vec![merged], &Additions { baked: &files, ..Default::default() }).unwrap().tree;
    assert_eq!(text(&tree, "usr/bin/entry"), "x");
}

#[test]
fn apk_finds_what_was_asked_for() {
    let world = Dependency::parse_list("postfix dovecot>2.4").unwrap();
    let repositories = vec!["https://a.example/main".to_owned(), "@edge https://a.example/edge".to_owned()];
    let apk = ApkState { world: &world, repositories, arch: "x86_64" };
    let tree = assemble(vec![base()], &Additions { apk, ..Default::default() }).unwrap().tree;
    assert_eq!(text(&tree, "etc/apk/world"), "dovecot>2.4\npostfix\n");
    assert_eq!(text(&tree, "etc/apk/repositories"), "https://a.example/main\n@edge https://a.example/edge\n");
    assert_eq!(text(&tree, "etc/apk/arch"), "x86_64\n");
    assert_eq!(at(&tree, "lib/apk/db/lock").mode, 0o600);
}
