use std::collections::HashMap;

use crate::apk::tar::{Entry, EntryKind};
use crate::rootfs::{Bearer, MergedPackage, NodeKind, OwnedPath, Tree, TreePath};

/// The largest file, in bytes, that the top layer repeats because the recipe changes its mode or owner.
const REPAIR_LIMIT: u64 = 256 << 10;

/// Why a package's data member can't be a verbatim layer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotVerbatim {
    /// Readers of layers may stop after the first gzip stream.
    #[error("its data consists of {streams} gzip streams instead of one")]
    Streams { streams: u32 },
    /// Readers of layers may take it for a truncated download.
    #[error("its archive has no end-of-archive blocks")]
    NoEnd,
    /// Docker, umoci and containerd refuse sparse files.
    #[error("its archive contains sparse files or other entries that not every reader supports")]
    NotPortable,
    /// apk skips it, or another package has taken it over.
    #[error("{path} is not installed, or belongs to another package")]
    NotInstalled { path: TreePath },
    /// A name is not a valid path in an image.
    #[error("it contains a name that images can't contain")]
    Name,
    /// Another package has a link where this one has a directory.
    #[error("{path} is {actual} in the image, because of another package's link")]
    BehindLink { path: TreePath, actual: TreePath },
    /// Its owner's name has another id in the image.
    #[error("{path} belongs to {name}, which is {uid}:{gid} in the image but {found_uid}:{found_gid} in the package")]
    Owner { path: TreePath, name: String, uid: u32, gid: u32, found_uid: u32, found_gid: u32 },
    /// Several packages contain the directory with different modes or owners.
    #[error(
        "the directory {path} has mode {found:04o} in the package, but {expected:04o} or another owner in the image"
    )]
    Directory { path: TreePath, expected: u32, found: u32 },
    /// An engine would have to invent the directory when unpacking.
    #[error("{path} comes before its directory, or its directory is missing")]
    NoParent { path: TreePath },
    /// Docker refuses such layers.
    #[error("it contains {path} twice")]
    Twice { path: TreePath },
    /// Engines can't link to another layer's file.
    #[error("{path} is a hard link to something that doesn't precede it in the package")]
    Hardlink { path: TreePath },
    /// Engines apply the link's header to the file, and setting its owner removes its capabilities.
    #[error("{path} is a hard link with a different mode, time or attributes than its file")]
    LinkAttributes { path: TreePath },
    /// The top layer would have to repeat it.
    #[error("the recipe changes the mode or owner of {path}, which has {size} bytes")]
    Changed { path: TreePath, size: u64 },
}

/// Checks that unpacking the data member of a package gives what the package should have in `tree`.
///
/// Ignores times of directories and what the recipe puts over a package's files: the top layer corrects these.
pub(super) fn check(package: &MergedPackage, tree: &Tree) -> Result<(), NotVerbatim> {
    let MergedPackage { files, owned } = package;
    if files.data_streams != 1 {
        return Err(NotVerbatim::Streams { streams: files.data_streams });
    }
    if !files.ends_with_blocks {
        return Err(NotVerbatim::NoEnd);
    }
    if !files.portable {
        return Err(NotVerbatim::NotPortable);
    }
    let installed: HashMap<&TreePath, &OwnedPath> =
        owned.directories.iter().chain(&owned.files).map(|path| (&path.declared, path)).collect();
    let mut before: HashMap<TreePath, &Entry> = HashMap::new();
    for header in files.entries.items().iter().map(|entry| &entry.header) {
        let path = TreePath::new(&header.path).map_err(|_| NotVerbatim::Name)?;
        if before.contains_key(&path) {
            return Err(NotVerbatim::Twice { path });
        }
        let Some(place) = installed.get(&path) else { return Err(NotVerbatim::NotInstalled { path }) };
        if place.actual != path {
            return Err(NotVerbatim::BehindLink { path, actual: place.actual.clone() });
        }
        if (place.node.uid, place.node.gid) != (header.uid, header.gid) {
            return Err(NotVerbatim::Owner {
                path,
                name: format!("{}:{}", header.user, header.group),
                uid: place.node.uid,
                gid: place.node.gid,
                found_uid: header.uid,
                found_gid: header.gid,
            });
        }
        if path.parent().is_some_and(|parent| !before.contains_key(&parent)) {
            return Err(NotVerbatim::NoParent { path });
        }
        if let EntryKind::Hardlink(target) = &header.kind {
            match TreePath::new(target).ok().and_then(|target| before.get(&target)) {
                None => return Err(NotVerbatim::Hardlink { path }),
                Some(file) if !says_the_same(header, file) => return Err(NotVerbatim::LinkAttributes { path }),
                Some(_) => {}
            }
        }
        check_in_image(&path, place, tree)?;
        before.insert(path, header);
    }
    Ok(())
}

/// Whether unpacking a hard link leaves its file unchanged. Owners have been compared already.
fn says_the_same(link: &Entry, file: &Entry) -> bool {
    (link.mode, link.mtime, &link.xattrs) == (file.mode, file.mtime, &file.xattrs)
}

/// Compares a path with the image's tree.
fn check_in_image(path: &TreePath, place: &OwnedPath, tree: &Tree) -> Result<(), NotVerbatim> {
    let Some(node) = tree.get(path) else { return Err(NotVerbatim::NotInstalled { path: path.clone() }) };
    match (&node.kind, node.bearer) {
        (NodeKind::Directory, Bearer::Package(_))
            if (node.mode, node.uid, node.gid) != (place.node.mode, place.node.uid, place.node.gid) =>
        {
            Err(NotVerbatim::Directory { path: path.clone(), expected: node.mode, found: place.node.mode })
        }
        (NodeKind::File { size, .. }, Bearer::Image) if node.source().is_some() && *size > REPAIR_LIMIT => {
            Err(NotVerbatim::Changed { path: path.clone(), size: *size })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
