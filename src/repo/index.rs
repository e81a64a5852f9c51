//! An index of packages in files.

use camino::{Utf8Path, Utf8PathBuf};
use rayon::prelude::*;

use super::RepoError;
use crate::apk::Package;
use crate::apk::index::Index;
use crate::apk::package::PackageReader;

/// The packages of a directory, sorted by file name.
pub fn packages_in(directory: &Utf8Path) -> Result<Vec<Utf8PathBuf>, RepoError> {
    let unreadable = |source| RepoError::Read { path: directory.to_owned(), source };
    let mut packages = Vec::new();
    for entry in directory.read_dir_utf8().map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.into_path();
        if path.extension() == Some("apk") {
            packages.push(path);
        }
    }
    packages.sort();
    if packages.is_empty() { Err(RepoError::NoPackages { directory: directory.to_owned() }) } else { Ok(packages) }
}

/// Reads packages completely and lists them. `arch` is the repository's architecture, required only if all packages are
/// `noarch`. `noarch` packages are listed under it, because apk looks for packages in the directory of their
/// architecture.
pub fn index(files: &[Utf8PathBuf], description: &str, arch: Option<&str>) -> Result<Index, RepoError> {
    let mut packages = files.par_iter().map(|path| describe(path)).collect::<Result<Vec<_>, _>>()?;
    let specific = packages.iter().map(|package| package.arch.as_str()).find(|arch| *arch != "noarch");
    let arch = arch.or(specific).ok_or(RepoError::NoArchitecture)?.to_owned();
    for (package, path) in packages.iter_mut().zip(files) {
        if package.arch == "noarch" {
            package.arch.clone_from(&arch);
        } else if package.arch != arch {
            let (path, found) = (path.clone(), package.arch.clone());
            return Err(RepoError::Architecture { path, found, expected: arch });
        }
    }
    Ok(Index::new(description, packages))
}

fn describe(path: &Utf8Path) -> Result<Package, RepoError> {
    let refused = |source| RepoError::Package { path: path.to_owned(), source };
    let file = std::fs::File::open(path).map_err(|source| RepoError::Read { path: path.to_owned(), source })?;
    let reader = PackageReader::new(file).map_err(refused)?;
    let mut package = reader.control().package.clone();
    package.file_size = Some(reader.finish().map_err(refused)?.size);
    // Indexes don't contain these.
    package.replaces.clear();
    package.replaces_priority = None;
    let expected = format!("{}-{}.apk", package.name, package.version);
    if path.file_name() == Some(&expected) {
        Ok(package)
    } else {
        Err(RepoError::FileName { path: path.to_owned(), expected })
    }
}
