use camino::{Utf8Component, Utf8Path, Utf8PathBuf};

use super::file::Volume;

/// The mounts for the site's certificate directory. Directories are mounted rather than single files, because a mounted
/// file stays the old one after a renewal.
///
/// Let's Encrypt's `live/<name>` contains links to `../../archive/<name>`. Only that directory is mounted in addition,
/// where the links lead inside the container, so that no other certificate or account key of the host is.
pub(super) fn certificate(directory: &Utf8Path, target: &Utf8Path) -> Vec<Volume> {
    let mut volumes = vec![Volume::bound(directory, target)];
    let live = directory.parent().filter(|parent| parent.file_name() == Some("live"));
    if let (Some(live), Some(name)) = (live, directory.file_name()) {
        let links = Utf8PathBuf::from("../../archive").join(name);
        volumes.push(Volume::bound(&live.with_file_name("archive").join(name), &resolved(&target.join(links))));
    }
    volumes
}

/// The path without `..`, as the kernel resolves it.
fn resolved(path: &Utf8Path) -> Utf8PathBuf {
    let mut plain = Utf8PathBuf::new();
    for part in path.components() {
        match part {
            Utf8Component::ParentDir => {
                plain.pop();
            }
            other => plain.push(other),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_out_of_a_directory_are_followed_from_the_target() {
        assert_eq!(resolved("/etc/mailimg/tls/../../archive/a".into()), "/etc/archive/a");
        assert_eq!(resolved("/tls/../../archive/a".into()), "/archive/a");
    }
}
