//! Replacements for packages' scripts, which are never run.

use super::merge::make_directories;
use super::tree::{Node, Tree};
use super::{RootfsError, TreePath};

/// The file with all certificates that programs trust by default.
const CA_BUNDLE: &str = "etc/ssl/certs/ca-certificates.crt";
/// Where OpenSSL and LibreSSL look for it.
const CA_LINK: &str = "etc/ssl/cert.pem";
/// The directory of the certificates for the bundle.
const CA_DIRECTORY: &[u8] = b"usr/share/ca-certificates/";

/// The links to `bin/bbsuid` that `bbsuid --install` creates; the list is compiled into the program.
const BBSUID_LINKS: [&str; 8] = [
    "bin/mount",
    "bin/su",
    "bin/umount",
    "usr/bin/crontab",
    "usr/bin/passwd",
    "usr/bin/traceroute",
    "usr/bin/traceroute6",
    "usr/bin/vlock",
];

/// Returns the content of a file, if it was read.
pub(super) type Content<'a> = dyn Fn(&Node) -> Option<Vec<u8>> + 'a;

/// Creates the links to busybox's programs, replacing its trigger (`busybox --install -s`).
///
/// `etc/busybox-paths.d/<program>` lists the links to `/bin/<program>`. Existing files are kept.
pub(super) fn link_busybox(tree: &mut Tree, content: &Content<'_>, mtime: i64) -> Result<(), RootfsError> {
    if tree.get(&path("bin/bbsuid")).is_some() {
        for link in BBSUID_LINKS {
            add_link(tree, &path(link), "/bin/bbsuid", mtime)?;
        }
    }
    let lists: Vec<(TreePath, Vec<u8>)> = tree
        .iter()
        .filter(|(path, _)| path.as_bytes().starts_with(b"etc/busybox-paths.d/"))
        .filter_map(|(path, node)| Some((path.clone(), content(node)?)))
        .collect();
    for (list, links) in lists {
        let program = TreePath::join(Some(&path("bin")), list.name());
        let exists = tree.resolve(&program).is_some_and(|program| tree.get(&program).is_some());
        let Ok(name) = std::str::from_utf8(list.name()) else { continue };
        if !exists {
            continue;
        }
        for link in links.split(|&b| b == b'\n').filter(|line| !line.is_empty()) {
            let link = TreePath::new(link).map_err(|why| RootfsError::RecipePath {
                what: "the link",
                path: format!("{} in {list}", String::from_utf8_lossy(link)),
                why,
            })?;
            add_link(tree, &link, &format!("/bin/{name}"), mtime)?;
        }
    }
    Ok(())
}

/// Creates the CA bundle if no package contains it, replacing `update-ca-certificates`.
///
/// Certificates marked with `!` in `etc/ca-certificates.conf` are left out.
pub(super) fn bundle_certificates(tree: &mut Tree, content: &Content<'_>, mtime: i64) -> Result<(), RootfsError> {
    let bundle = path(CA_BUNDLE);
    if tree.get(&bundle).is_some() {
        return Ok(());
    }
    let conf = tree.get(&path("etc/ca-certificates.conf")).and_then(content).unwrap_or_default();
    let refused: Vec<&[u8]> = conf.split(|&b| b == b'\n').filter_map(|line| line.strip_prefix(b"!")).collect();
    let mut bytes = Vec::new();
    for (path, node) in tree.iter() {
        let Some(name) = path.as_bytes().strip_prefix(CA_DIRECTORY) else { continue };
        if !name.ends_with(b".crt") || refused.contains(&name) {
            continue;
        }
        let Some(certificate) = content(node) else { continue };
        bytes.extend_from_slice(&certificate);
        if !certificate.ends_with(b"\n") {
            bytes.push(b'\n');
        }
    }
    if bytes.is_empty() {
        return Ok(());
    }
    if let Some(parent) = bundle.parent() {
        make_directories(tree, &parent, 0o755, mtime)?;
    }
    tree.insert(bundle, Node::file(bytes, 0o644, mtime));
    add_link(tree, &path(CA_LINK), "certs/ca-certificates.crt", mtime)
}

/// Creates a link and its parent directories, unless something is there.
fn add_link(tree: &mut Tree, link: &TreePath, target: &str, mtime: i64) -> Result<(), RootfsError> {
    let mut link = link.clone();
    if let Some(parent) = link.parent() {
        let parent = make_directories(tree, &parent, 0o755, mtime)?;
        link = TreePath::join(Some(&parent), link.name());
    }
    if tree.get(&link).is_none() {
        tree.insert(link, Node::symlink(target, mtime));
    }
    Ok(())
}

/// A path that is a constant of this module.
fn path(constant: &str) -> TreePath {
    TreePath::join(None, constant.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rootfs::NodeKind;

    fn tree(nodes: &[(&str, Node)]) -> Tree {
        nodes.iter().map(|(name, node)| (path(name), node.clone())).collect()
    }

    fn inline(node: &Node) -> Option<Vec<u8>> {
        node.inline().map(|bytes| bytes.to_vec())
    }

    fn target(tree: &Tree, name: &str) -> String {
        match tree.get(&path(name)).map(|node| &node.kind) {
            Some(NodeKind::Symlink(target)) => String::from_utf8_lossy(target).into_owned(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn busybox_gets_its_links_but_takes_nobodys_place() {
        let mut tree = tree(&[
            ("bin", Node::directory(0o755, 1)),
            ("bin/busybox", Node::file(*b"elf", 0o755, 1)),
            ("bin/bbsuid", Node::file(*b"elf", 0o4111, 1)),
            ("bin/ls", Node::file(*b"coreutils", 0o755, 1)),
            ("etc/busybox-paths.d/busybox", Node::file(*b"bin/ls\nbin/su\nusr/bin/[\n", 0o644, 1)),
            ("etc/busybox-paths.d/absent", Node::file(*b"bin/absent-applet\n", 0o644, 1)),
        ]);
        link_busybox(&mut tree, &inline, 7).unwrap();
        assert_eq!(target(&tree, "usr/bin/["), "/bin/busybox");
        assert_eq!(target(&tree, "bin/su"), "/bin/bbsuid");
        assert!(inline(tree.get(&path("bin/ls")).unwrap()).is_some());
        assert!(tree.get(&path("bin/absent-applet")).is_none());
        assert!(tree.get(&path("usr/bin")).unwrap().is_directory());
    }

    #[test]
    fn busyboxs_links_follow_merged_directories() {
        let mut tree = tree(&[
            ("bin", Node::symlink("usr/bin", 1)),
            ("usr", Node::directory(0o755, 1)),
            ("usr/bin", Node::directory(0o755, 1)),
            ("usr/bin/busybox", Node::file(*b"elf", 0o755, 1)),
            ("etc/busybox-paths.d/busybox", Node::file(*b"bin/ls\nusr/bin/ls\n", 0o644, 1)),
        ]);
        link_busybox(&mut tree, &inline, 7).unwrap();
        assert_eq!(target(&tree, "usr/bin/ls"), "/bin/busybox");
        assert_eq!(target(&tree, "bin"), "usr/bin");
    }

    #[test]
    fn a_hostile_list_of_links_is_refused() {
        for list in ["../../etc/cron.d/x\n", "/etc/x\n"] {
            let mut tree = tree(&[
                ("bin", Node::directory(0o755, 1)),
                ("bin/busybox", Node::file(*b"elf", 0o755, 1)),
                ("etc/busybox-paths.d/busybox", Node::file(list.as_bytes(), 0o644, 1)),
            ]);
            assert!(matches!(link_busybox(&mut tree, &inline, 7), Err(RootfsError::RecipePath { .. })), "{list}");
        }
    }

    #[test]
    fn certificates_make_a_bundle_where_none_is_there() {
        let certificates = [
            ("etc/ca-certificates.conf", Node::file(*b"# all\nm/a.crt\n!m/b.crt\n", 0o644, 1)),
            ("usr/share/ca-certificates/m/a.crt", Node::file(*b"A", 0o644, 1)),
            ("usr/share/ca-certificates/m/b.crt", Node::file(*b"B\n", 0o644, 1)),
            ("usr/share/ca-certificates/m/c.crt", Node::file(*b"C\n", 0o644, 1)),
            ("usr/share/ca-certificates/m/README", Node::file(*b"no", 0o644, 1)),
        ];
        let mut tree = tree(&certificates);
        bundle_certificates(&mut tree, &inline, 7).unwrap();
        assert_eq!(inline(tree.get(&path(CA_BUNDLE)).unwrap()).unwrap(), b"A\nC\n");
        assert_eq!(target(&tree, CA_LINK), "certs/ca-certificates.crt");
        tree.insert(path(CA_BUNDLE), Node::file(*b"own", 0o644, 1));
        bundle_certificates(&mut tree, &inline, 7).unwrap();
        assert_eq!(inline(tree.get(&path(CA_BUNDLE)).unwrap()).unwrap(), b"own");
    }
}
