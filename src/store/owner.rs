//! Who else may write to a store. Nobody may: whoever can may also change what is known about its entries.
//!
//! Of a file with an access control list, the group's permissions in the mode are those that the list can grant at most
//! (acl(5)). So the mode says whether somebody may write, and changing it takes that permission from everyone.

use std::fs::{DirBuilder, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};

use camino::Utf8Path;

use super::scratch::is_refusal;
use super::support::Operation;
use super::{BUCKET, StoreError, none_if_missing};

/// Write permission for others than the owner.
const OTHERS_WRITE: u32 = 0o022;

/// In a directory with this bit, others can't replace what they don't own.
const STICKY: u32 = 0o1000;

/// Makes a directory and those above it, to which nobody else may write at any umask.
pub(super) fn make_directory(path: &Utf8Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o755).create(path)
}

/// Checks the directories of a store under `cache`. Those of this user that others may write to were made by an older
/// version under another umask; they are corrected. Anybody else's are refused.
pub(super) fn check(cache: &Utf8Path, names: &[&str]) -> Result<(), StoreError> {
    let bucket = cache.join(BUCKET);
    let inner = names.iter().map(|name| bucket.join(name));
    for path in [cache.to_owned(), bucket.clone()].into_iter().chain(inner) {
        let found = none_if_missing(std::fs::metadata(&path)).map_err(StoreError::io("read", &path))?;
        let Some(found) = found else { continue };
        let is_sticky = path == cache && found.mode() & STICKY != 0;
        if found.mode() & OTHERS_WRITE == 0 || is_sticky {
            continue;
        }
        if !is_own(&found) {
            return Err(StoreError::Shared { path, mode: found.mode() & 0o7777 });
        }
        match std::fs::set_permissions(&path, Permissions::from_mode(found.mode() & 0o7777 & !OTHERS_WRITE)) {
            // Nor can anybody write where nothing can be changed.
            Err(error) if Operation::SetMode.is_unsupported(&error) || is_refusal(&error) => {
                tracing::info!("can't change the mode of {path}: {error}");
            }
            set => set.map_err(StoreError::io("change the mode of", &path))?,
        }
    }
    Ok(())
}

/// Refuses a cache directory that belongs to another user.
pub fn check_owner(cache: &Utf8Path) -> Result<(), StoreError> {
    for path in [cache.to_owned(), cache.join(BUCKET)] {
        let found = none_if_missing(std::fs::metadata(&path)).map_err(StoreError::io("read", &path))?;
        if found.is_some_and(|found| !is_own(&found)) {
            return Err(StoreError::Foreign { path });
        }
    }
    Ok(())
}

fn is_own(found: &Metadata) -> bool {
    found.uid() == rustix::process::geteuid().as_raw()
}

#[cfg(test)]
mod tests {
    use super::super::Store;
    use super::*;

    #[test]
    fn what_others_may_write_to_is_corrected() {
        let cache = tempfile::tempdir().unwrap();
        let cache = Utf8Path::from_path(cache.path()).unwrap();
        drop(Store::open(cache).unwrap());
        let paths = [cache.to_owned(), cache.join(BUCKET), cache.join(BUCKET).join("sha256")];
        for path in &paths {
            std::fs::set_permissions(path, Permissions::from_mode(0o777)).unwrap();
        }
        drop(Store::open(cache).unwrap());
        for path in &paths {
            assert_eq!(path.metadata().unwrap().mode() & 0o7777, 0o755, "{path}");
        }
        // In such a directory, others can't replace what they don't own.
        std::fs::set_permissions(cache, Permissions::from_mode(0o1777)).unwrap();
        drop(Store::open(cache).unwrap());
        assert_eq!(cache.metadata().unwrap().mode() & 0o7777, 0o1777);
    }

    const ACCESS: &str = "system.posix_acl_access";

    /// An access control list as Linux keeps it (`linux/posix_acl_xattr.h`): version 2, then tag, permissions and user of
    /// each entry.
    fn list(entries: &[(u16, u16, u32)]) -> Vec<u8> {
        let entry = |(tag, permissions, user): &(u16, u16, u32)| {
            [&tag.to_le_bytes()[..], &permissions.to_le_bytes(), &user.to_le_bytes()].concat()
        };
        [2_u32.to_le_bytes().to_vec(), entries.iter().flat_map(entry).collect()].concat()
    }

    #[test]
    fn an_access_control_list_lets_nobody_write() {
        let [owner, user, group, mask, other] = [1, 2, 4, 0x10, 0x20];
        let (nobody, none) = (65_534, u32::MAX);
        let cache = tempfile::tempdir().unwrap();
        let cache = Utf8Path::from_path(cache.path()).unwrap();
        drop(Store::open(cache).unwrap());
        let path = cache.join(BUCKET).join("sha256");
        let open = list(&[(owner, 7, none), (user, 7, nobody), (group, 5, none), (mask, 7, none), (other, 5, none)]);
        rustix::fs::setxattr(path.as_std_path(), ACCESS, &open, rustix::fs::XattrFlags::empty()).unwrap();
        assert_eq!(path.metadata().unwrap().mode() & 0o7777, 0o775);
        drop(Store::open(cache).unwrap());
        let mut found = vec![0; 100];
        let length = rustix::fs::getxattr(path.as_std_path(), ACCESS, &mut found).unwrap();
        let closed = list(&[(owner, 7, none), (user, 7, nobody), (group, 5, none), (mask, 5, none), (other, 5, none)]);
        assert_eq!(found[..length], closed, "the mask takes it from all");
    }
}
