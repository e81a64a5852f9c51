//! What apk keeps of its own in an image: `etc/apk/world`, `repositories`, `arch`, and the database of what is installed.
//!
//! The formats are those that apk 2.14 writes.

use super::assemble::ApkState;
use super::merge::{Owned, OwnedPath, make_directories};
use super::tree::{Node, Tree};
use super::{RootfsError, TreePath};
use crate::apk::Checksum;
use crate::apk::installed::{self, Installed, InstalledPath};
use crate::apk::package::{PackageFiles, ScriptKind};
use crate::apk::tar::{self, Entry, EntryKind};

/// Adds apk's files to the tree. `owned` is what each package has in it.
pub(super) fn write(
    tree: &mut Tree,
    packages: &[PackageFiles],
    owned: &[Owned],
    state: &ApkState<'_>,
    time: u64,
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
        ("lib/apk/db/installed", installed(packages, owned), 0o644),
        ("lib/apk/db/lock", Vec::new(), 0o600),
        ("lib/apk/db/scripts.tar", scripts(packages, time), 0o644),
        ("lib/apk/db/triggers", triggers(packages), 0o644),
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

/// The scripts of the installed packages, by which apk would remove or upgrade them:
/// `<name>-<version>.<checksum>.<kind>`.
fn scripts(packages: &[PackageFiles], time: u64) -> Vec<u8> {
    let mut archive = Vec::new();
    for files in packages {
        for script in &files.control.scripts {
            let name = format!("{}.{}.{}", files.title(), checksum(files), script.kind);
            let entry =
                Entry { size: script.text.len() as u64, mtime: time, ..Entry::new(name, EntryKind::File, 0o755) };
            archive.extend_from_slice(&tar::header(&entry));
            archive.extend_from_slice(&script.text);
            let end = archive.len().next_multiple_of(512);
            archive.resize(end, 0);
        }
    }
    tar::end(&mut archive);
    archive
}

/// For each package with a trigger: its checksum, and the directories at whose change the trigger runs.
fn triggers(packages: &[PackageFiles]) -> Vec<u8> {
    let has_trigger = |files: &&PackageFiles| {
        !files.control.triggers.is_empty()
            && files.control.scripts.iter().any(|script| script.kind == ScriptKind::Trigger)
    };
    let line = |files: &PackageFiles| format!("{} {}", checksum(files), files.control.triggers.join(" "));
    lines(&packages.iter().filter(has_trigger).map(line).collect::<Vec<_>>())
}

fn checksum(files: &PackageFiles) -> String {
    files.package().checksum.map(|checksum| checksum.to_string()).unwrap_or_default()
}

/// Which packages are installed, and which path is whose.
fn installed(packages: &[PackageFiles], owned: &[Owned]) -> Vec<u8> {
    let blocks = packages.iter().zip(owned).map(|(files, owned)| {
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
        mode: path.mode,
        uid: path.uid,
        gid: path.gid,
        checksum: (!is_directory).then(|| content_checksum(files, path.entry)).flatten(),
    }
}

/// SHA-1 of a file's content or of a link's target, as the package has it; of a hard link's file if it has none itself.
fn content_checksum(files: &PackageFiles, entry: usize) -> Option<Checksum> {
    let header = &files.entries.get(entry)?.header;
    match &header.kind {
        EntryKind::Hardlink(target) if header.checksum.is_none() => {
            files.entries.iter().find(|entry| entry.header.path == *target)?.header.checksum
        }
        EntryKind::Symlink(target) => header.checksum.or_else(|| Some(Checksum::of(target))),
        _ => header.checksum,
    }
}
