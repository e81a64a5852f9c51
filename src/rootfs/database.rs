//! apk's own files in an image: `etc/apk/world`, `repositories`, `arch`, and the installed database.
//!
//! The formats are those of apk 2.14.

use super::assemble::ApkState;
use super::merge::{MergedPackage, OwnedPath, make_directories};
use super::tree::{Node, Tree};
use super::{RootfsError, TreePath};
use crate::apk::Checksum;
use crate::apk::installed::{self, Installed, InstalledPath};
use crate::apk::package::{EntryId, PackageFiles, ScriptKind};
use crate::apk::tar::{self, Entry, EntryKind};

/// Adds apk's files to the tree.
pub(super) fn write(
    tree: &mut Tree,
    packages: &[MergedPackage],
    state: &ApkState<'_>,
    time: i64,
) -> Result<(), RootfsError> {
    let mut world: Vec<String> = state.world.iter().map(ToString::to_string).collect();
    world.sort();
    let mut repositories = state.repositories.join("\n");
    if !repositories.is_empty() {
        repositories.push('\n');
    }
    for (path, content, mode) in [
        ("etc/apk/arch", format!("{}\n", state.arch).into_bytes(), 0o644),
        ("etc/apk/repositories", repositories.into_bytes(), 0o644),
        ("etc/apk/world", lines(&world), 0o644),
        ("lib/apk/db/installed", installed(packages), 0o644),
        ("lib/apk/db/lock", Vec::new(), 0o600),
        ("lib/apk/db/scripts.tar", scripts(packages, time)?, 0o644),
        ("lib/apk/db/triggers", triggers(packages)?, 0o644),
    ] {
        put(tree, path, Node::file(content, mode, time))?;
    }
    Ok(())
}

fn put(tree: &mut Tree, path: &str, node: Node) -> Result<(), RootfsError> {
    let path =
        TreePath::new(path).map_err(|why| RootfsError::RecipePath { what: "file", path: path.to_owned(), why })?;
    let parent = match path.parent() {
        Some(parent) => Some(make_directories(tree, &parent, 0o755, node.mtime)?),
        None => None,
    };
    tree.insert(TreePath::join(parent.as_ref(), path.name()), node);
    Ok(())
}

fn lines(lines: &[String]) -> Vec<u8> {
    lines.iter().flat_map(|line| [line.as_bytes(), b"\n"].concat()).collect()
}

/// The scripts that apk would use to remove or upgrade the installed packages: `<name>-<version>.<checksum>.<kind>`.
fn scripts(packages: &[MergedPackage], time: i64) -> Result<Vec<u8>, RootfsError> {
    let mut archive = Vec::new();
    for MergedPackage { files, .. } in packages {
        for script in &files.control.scripts {
            let name = format!("{}.{}.{}", files.title(), checksum(files)?, script.kind);
            let entry =
                Entry { size: script.text.len() as u64, mtime: time, ..Entry::new(name, EntryKind::File, 0o755) };
            archive.extend_from_slice(&tar::header(&entry));
            archive.extend_from_slice(&script.text);
            let end = archive.len().next_multiple_of(512);
            archive.resize(end, 0);
        }
    }
    tar::end(&mut archive);
    Ok(archive)
}

/// For each package with a trigger: its checksum and the directories that trigger it when they change.
fn triggers(packages: &[MergedPackage]) -> Result<Vec<u8>, RootfsError> {
    let has_trigger = |package: &&MergedPackage| {
        let files = &package.files;
        !files.control.triggers.is_empty()
            && files.control.scripts.iter().any(|script| script.kind == ScriptKind::Trigger)
    };
    let line = |MergedPackage { files, .. }: &MergedPackage| {
        Ok(format!("{} {}", checksum(files)?, files.control.triggers.join(" ")))
    };
    Ok(lines(&packages.iter().filter(has_trigger).map(line).collect::<Result<Vec<_>, RootfsError>>()?))
}

/// The checksum that identifies the package in the database. Every package read from a file has one.
fn checksum(files: &PackageFiles) -> Result<Checksum, RootfsError> {
    files.package().checksum.ok_or_else(|| RootfsError::NoChecksum { package: files.title() })
}

/// The installed packages and their paths.
fn installed(packages: &[MergedPackage]) -> Vec<u8> {
    let blocks = packages.iter().map(|MergedPackage { files, owned }| {
        let directories = owned.directories.iter().map(|path| (path, true));
        let mut paths: Vec<_> = directories.chain(owned.files.iter().map(|path| (path, false))).collect();
        paths.sort_by_key(|(path, _)| path.entry);
        let paths = paths.into_iter().map(|(path, is_directory)| installed_path(files, path, is_directory)).collect();
        Installed { package: files.package().clone(), paths }
    });
    installed::write(&blocks.collect::<Vec<_>>())
}

fn installed_path(files: &PackageFiles, path: &OwnedPath, is_directory: bool) -> InstalledPath {
    InstalledPath {
        path: path.declared.as_bytes().to_vec(),
        is_directory,
        mode: path.node.mode,
        uid: path.node.uid,
        gid: path.node.gid,
        checksum: (!is_directory).then(|| content_checksum(files, path.entry)).flatten(),
    }
}

/// The SHA-1 of a file's content or a link's target, from the package; for a hard link without one, that of its file.
fn content_checksum(files: &PackageFiles, entry: EntryId) -> Option<Checksum> {
    let header = &files.entries[entry].header;
    match &header.kind {
        EntryKind::Hardlink(target) if header.checksum.is_none() => {
            files.entries.items().iter().find(|entry| entry.header.path == *target)?.header.checksum
        }
        EntryKind::Symlink(target) => header.checksum.or_else(|| Some(Checksum::of(target))),
        _ => header.checksum,
    }
}
