//! Packages and a recipe → the tree of an image.

use super::accounts::{AccountFiles, Accounts};
use super::merge::{Merged, MergedPackage, make_directories, merge};
use super::tree::{Bearer, Content, Node, NodeKind, PackageId, Source, Tree};
use super::{RootfsError, TreePath, database, scripts};
use crate::apk::Dependency;
use crate::apk::package::PackageFiles;
use crate::config::{AbsolutePath, BakedFile, Contents, Directory, FileRule, Group, Link, User};
use crate::table::Table;

/// What an image has in addition to its packages' files.
#[derive(Debug, Clone, Default)]
pub struct Additions<'a> {
    /// Groups with pinned ids.
    pub groups: &'a [Group],
    /// Accounts with pinned ids.
    pub users: &'a [User],
    /// Directories to create or change.
    pub directories: Vec<&'a Directory>,
    pub links: Vec<&'a Link>,
    /// Files to bake, replacing packages' files of the same name.
    pub baked: &'a [BakedFile],
    /// Modes and owners of files.
    pub rules: Vec<&'a FileRule>,
    /// apk's state in the image.
    pub apk: ApkState<'a>,
    /// The time of all of these, in seconds since 1970.
    pub time: i64,
}

/// apk's state in the image, apart from the installed packages.
#[derive(Debug, Clone, Default)]
pub struct ApkState<'a> {
    pub world: &'a [Dependency],
    /// Lines of `etc/apk/repositories`.
    pub repositories: Vec<String>,
    /// The architecture, as apk names it.
    pub arch: &'a str,
}

/// The tree of an image with `packages`, in install order, and what each package contributed before the recipe was
/// applied.
pub fn assemble(packages: Vec<PackageFiles>, additions: &Additions<'_>) -> Result<Merged, RootfsError> {
    let mut accounts = Accounts::default();
    for entry in packages.iter().flat_map(|package| package.entries.items()) {
        accounts.read(&entry.header.path, entry.content.as_deref().unwrap_or_default());
    }
    accounts.declare(additions.users, additions.groups)?;
    let Merged { tree, packages } = merge(packages, &accounts)?;
    let mut assembly = Assembly { tree, packages: &packages, accounts, time: additions.time };
    assembly.stand_in_for_scripts()?;
    assembly.write_accounts(additions)?;
    for directory in &additions.directories {
        assembly.directory(directory)?;
    }
    for link in &additions.links {
        let target = Node::symlink(link.target.as_bytes(), additions.time);
        assembly.put("link", &link.path, target)?;
    }
    for file in additions.baked {
        assembly.bake(file)?;
    }
    for rule in &additions.rules {
        assembly.rule(rule)?;
    }
    let mut tree = assembly.tree;
    database::write(&mut tree, packages.items(), &additions.apk, additions.time)?;
    Ok(Merged { tree, packages })
}

/// The tree that apk itself would create from `packages` with `--no-scripts`.
pub fn as_installed(packages: Vec<PackageFiles>, apk: &ApkState<'_>, time: i64) -> Result<Merged, RootfsError> {
    let Merged { mut tree, packages } = merge(packages, &Accounts::default())?;
    database::write(&mut tree, packages.items(), apk, time)?;
    Ok(Merged { tree, packages })
}

struct Assembly<'a> {
    tree: Tree,
    packages: &'a Table<PackageId, MergedPackage>,
    accounts: Accounts,
    time: i64,
}

impl Assembly<'_> {
    fn stand_in_for_scripts(&mut self) -> Result<(), RootfsError> {
        let packages = self.packages;
        let content = |node: &Node| kept_content(packages, node);
        scripts::link_busybox(&mut self.tree, &content, self.time)?;
        scripts::bundle_certificates(&mut self.tree, &content, self.time)
    }

    /// Adds the recipe's accounts to the account files.
    fn write_accounts(&mut self, additions: &Additions<'_>) -> Result<(), RootfsError> {
        if additions.users.is_empty() && additions.groups.is_empty() {
            return Ok(());
        }
        let text = |name: &str| self.read_text(name);
        let before = AccountFiles { passwd: text("etc/passwd"), group: text("etc/group"), shadow: text("etc/shadow") };
        let mut after = before.clone();
        after.add(additions.users, additions.groups, &self.accounts)?;
        let shadow_group = self.accounts.gid("shadow");
        let shadow = (if shadow_group.is_some() { 0o640 } else { 0o600 }, shadow_group.unwrap_or(0));
        for (name, before, after, (mode, gid)) in [
            ("etc/passwd", before.passwd, after.passwd, (0o644, 0)),
            ("etc/group", before.group, after.group, (0o644, 0)),
            ("etc/shadow", before.shadow, after.shadow, shadow),
        ] {
            if before != after {
                self.replace_content(name, after.into_bytes(), mode, gid)?;
            }
        }
        Ok(())
    }

    fn read_text(&self, name: &str) -> String {
        let node = TreePath::new(name).ok().and_then(|path| self.tree.get(&path));
        let content = node.and_then(|node| kept_content(self.packages, node)).unwrap_or_default();
        String::from_utf8_lossy(&content).into_owned()
    }

    /// Replaces a file's content. Mode and group apply to a new file.
    fn replace_content(&mut self, name: &str, content: Vec<u8>, mode: u32, gid: u32) -> Result<(), RootfsError> {
        let path =
            TreePath::new(name).map_err(|why| RootfsError::RecipePath { what: "file", path: name.to_owned(), why })?;
        let path = self.place(&path)?;
        let mut node = Node::file(content, mode, self.time);
        (node.gid, node.mode) = match self.tree.get(&path) {
            Some(there) => (there.gid, there.mode),
            None => (gid, mode),
        };
        self.tree.insert(path, node);
        Ok(())
    }

    fn directory(&mut self, directory: &Directory) -> Result<(), RootfsError> {
        let owner = self.owner(directory.path.as_str(), &directory.owner, &directory.group)?;
        let path = make_directories(&mut self.tree, directory.path.tree_path(), 0o755, self.time)?;
        if let Some(node) = self.tree.get_mut(&path) {
            set(node, directory.mode.bits(), owner);
        }
        Ok(())
    }

    fn bake(&mut self, file: &BakedFile) -> Result<(), RootfsError> {
        let (what, node) = match &file.contents {
            Contents::File { mode, bytes } => ("baked file", Node::file(bytes.as_slice(), *mode, self.time)),
            Contents::Link { target } => ("baked link", Node::symlink(target.as_bytes(), self.time)),
        };
        self.put(what, &file.path, node)
    }

    /// Puts a file or link at a path, replacing any other file or link.
    fn put(&mut self, what: &'static str, path: &AbsolutePath, node: Node) -> Result<(), RootfsError> {
        let path = self.place(path.tree_path())?;
        if self.tree.get(&path).is_some_and(Node::is_directory) {
            return Err(RootfsError::RecipeClash { what, path, found: "a directory".to_owned() });
        }
        self.tree.insert(path, node);
        Ok(())
    }

    /// Resolves links above `path` and creates missing parent directories.
    fn place(&mut self, path: &TreePath) -> Result<TreePath, RootfsError> {
        let Some(parent) = path.parent() else { return Ok(path.clone()) };
        let parent = make_directories(&mut self.tree, &parent, 0o755, self.time)?;
        Ok(TreePath::join(Some(&parent), path.name()))
    }

    /// Sets the mode and owner of a file, under all of its names.
    fn rule(&mut self, rule: &FileRule) -> Result<(), RootfsError> {
        let owner = self.owner(rule.path.as_str(), &rule.owner, &rule.group)?;
        let missing = || RootfsError::RuleWithoutFile { path: rule.path.to_string() };
        let path = self.tree.resolve(rule.path.tree_path()).ok_or_else(missing)?;
        let node = self.tree.get(&path).ok_or_else(missing)?;
        if !matches!(node.kind, NodeKind::File { .. }) {
            return Err(RootfsError::RecipeClash { what: "file", path, found: "something else".to_owned() });
        }
        let source = node.source();
        for (other, node) in self.tree.nodes_mut() {
            if *other == path || (source.is_some() && node.source() == source) {
                set(node, rule.mode.bits(), owner);
            }
        }
        Ok(())
    }

    fn owner(&self, path: &str, user: &str, group: &str) -> Result<(u32, u32), RootfsError> {
        let unknown =
            |what, name: &str| RootfsError::UnknownOwner { path: path.to_owned(), what, name: name.to_owned() };
        // Even images without account files have root.
        let root = |name: &str| (name == "root").then_some(0);
        let uid = self.accounts.uid(user).or_else(|| root(user)).ok_or_else(|| unknown("user", user))?;
        let gid = self.accounts.gid(group).or_else(|| root(group)).ok_or_else(|| unknown("group", group))?;
        Ok((uid, gid))
    }
}

/// Applies a recipe's mode and owner to a node. A changed node becomes the image's own.
fn set(node: &mut Node, mode: u32, (uid, gid): (u32, u32)) {
    if (node.mode, node.uid, node.gid) != (mode, uid, gid) {
        (node.mode, node.uid, node.gid, node.bearer) = (mode, uid, gid, Bearer::Image);
    }
}

/// The content of a file, if it was read; see [`super::is_read`].
pub(super) fn kept_content(packages: &Table<PackageId, MergedPackage>, node: &Node) -> Option<Vec<u8>> {
    match &node.kind {
        NodeKind::File { content: Content::Inline(bytes), .. } => Some(bytes.to_vec()),
        NodeKind::File { content: Content::Package(Source { package, entry }), .. } => {
            packages[*package].files.entries[*entry].content.clone()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
