//! The whole import: lists, downloads, dependencies, packages, index.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use fs_err as fs;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::apt::{Apt, Candidate, Source};
use super::closure::{self, Selected};
use super::convert::convert;
use super::describe::{apk_arch, describe};
use super::error::ImportError;
use super::facts::Facts;
use super::mapping::Mapping;
use crate::apk::index::Index;
use crate::apk::package::PackageReader;
use crate::apk::{Package, SigningKey};
use crate::digest::Sha256;
use crate::progress::{Progress, Total};
use crate::store::write_atomic;

/// Part of a package's inputs: raise it when the same `.deb` gives different bytes.
const FORMAT: u32 = 1;

/// What to import, and the target directory.
#[derive(Debug, Clone)]
pub struct Request {
    pub mapping: Mapping,
    pub source: Source,
    /// The repository's directory. Its private key is next to it, in `<out>.key`.
    pub out: Utf8PathBuf,
    /// The directory for downloads.
    pub cache: Utf8PathBuf,
}

/// The result of an import.
#[derive(Debug, Clone)]
pub struct Imported {
    /// All packages of the repository, as in its index.
    pub packages: Vec<Package>,
    /// The number of them that were converted.
    pub made: usize,
    /// Bytes of all package files.
    pub size: u64,
    /// The public key to trust.
    pub key: Utf8PathBuf,
}

/// Records of the packages in the repository from the previous run, in `import.json` next to the index.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Records {
    packages: BTreeMap<String, Record>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    /// The digest of everything that determines the package's bytes.
    inputs: Sha256,
    sha256: Sha256,
}

/// Creates or updates a repository.
pub fn import(request: &Request, progress: &dyn Progress) -> Result<Imported, ImportError> {
    let Request { mapping, source, out, cache } = request;
    let arch = apk_arch(&source.arch).ok_or_else(|| ImportError::NoArch { arch: source.arch.clone() })?;
    let root = cache.join(format!("apt-{}-{}", source.suite, source.arch));
    let root = camino::absolute_utf8(&root).map_err(ImportError::file(root))?;
    let apt = Apt::open(&root, source.clone())?;
    let lists = {
        let _step = progress.start("Fetching Debian's package lists", Total::Unknown);
        apt.update()?;
        apt.lists()?
    };

    let fetch = |wanted: &[&Candidate]| {
        apt.download(wanted, progress)?;
        let step = progress.start("Reading Debian packages", Total::Items(wanted.len() as u64));
        wanted
            .par_iter()
            .map(|candidate| {
                let facts = Facts::of(&apt.path(candidate), candidate.sha256, &source.arch, &root.join("facts"));
                step.advance(1);
                facts
            })
            .collect()
    };
    let selected = closure::select(mapping, &lists, &source.arch, &fetch)?;

    let directory = out.join(arch);
    let (packages, made) = convert_all(&apt, &selected, mapping, arch, &directory, progress)?;
    let key = write_index(request, &directory, &packages)?;
    let size = packages.iter().filter_map(|package| package.file_size).sum();
    Ok(Imported { packages, made, size, key })
}

/// Converts missing packages, and removes those of earlier runs that are no longer needed. Returns all packages, sorted
/// by name, and how many were converted.
fn convert_all(
    apt: &Apt,
    selected: &[Selected],
    mapping: &Mapping,
    arch: &str,
    directory: &Utf8Path,
    progress: &dyn Progress,
) -> Result<(Vec<Package>, usize), ImportError> {
    let records_path = directory.join("import.json");
    // If the records are missing or unreadable, convert everything again.
    let records: Records =
        fs::read(&records_path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
    let step = progress.start("Converting packages", Total::Items(selected.len() as u64));
    let results: Vec<(String, Record, Package, bool)> = selected
        .par_iter()
        .map(|selected| {
            let described = describe(selected, mapping, arch)?;
            let file = format!("{}-{}.apk", described.name, described.version);
            let inputs = inputs(selected, mapping, &described);
            let kept = records.packages.get(&file).filter(|record| record.inputs == inputs);
            let kept = kept.and_then(|record| Some((record.clone(), reuse(&directory.join(&file), record)?)));
            let result = if let Some((record, package)) = kept {
                (file, record, package, false)
            } else {
                let mut bytes = Vec::new();
                let deb = apt.path(&selected.candidate);
                let written = convert(&deb, selected, mapping, described, &mut bytes)?;
                write_atomic(&directory.join(&file), &bytes, 0o644)?;
                (file, Record { inputs, sha256: written.sha256 }, written.package, true)
            };
            step.advance(1);
            Ok(result)
        })
        .collect::<Result<_, ImportError>>()?;

    let made = results.iter().filter(|(.., made)| *made).count();
    let packages: BTreeMap<String, Record> =
        results.iter().map(|(file, record, ..)| (file.clone(), record.clone())).collect();
    if packages != records.packages {
        for file in records.packages.keys().filter(|file| !packages.contains_key(*file)) {
            let path = directory.join(file);
            if path.exists() {
                fs::remove_file(&path).map_err(ImportError::file(path))?;
            }
        }
        let bytes = serde_json::to_vec_pretty(&Records { packages })
            .map_err(|error| ImportError::file(&records_path)(error.into()))?;
        write_atomic(&records_path, &bytes, 0o644)?;
    }
    let mut packages: Vec<Package> = results.into_iter().map(|(_, _, package, _)| package).collect();
    packages.sort_by(|a, b| a.name.cmp(&b.name));
    Ok((packages, made))
}

/// The digest of everything that determines a package's bytes.
fn inputs(selected: &Selected, mapping: &Mapping, described: &Package) -> Sha256 {
    let rule = mapping.rule(&selected.candidate.name);
    let Mapping { exclude, include, users, groups, .. } = mapping;
    Sha256::of(format!(
        "{FORMAT} {} {described:?} {rule:?} {exclude:?} {include:?} {users:?} {groups:?}",
        selected.candidate.sha256
    ))
}

/// The package as the index lists it, if its file is unchanged.
fn reuse(path: &Utf8Path, record: &Record) -> Option<Package> {
    let bytes = fs::read(path).ok()?;
    if Sha256::of(&bytes) != record.sha256 {
        return None;
    }
    let package = PackageReader::new(&*bytes).ok()?.control().package.clone();
    Some(Package { file_size: Some(bytes.len() as u64), ..package })
}

/// Writes the index and the public key, unless they exist. Returns the public key's path.
fn write_index(request: &Request, directory: &Utf8Path, packages: &[Package]) -> Result<Utf8PathBuf, ImportError> {
    let key = signing_key(&request.out.with_file_name(key_name(&request.out)))?;
    let unsignable = |error: &dyn std::error::Error| ImportError::Key { message: error.to_string() };
    let public = request.out.join("keys").join(key.name());
    let pem = key.public_pem().map_err(|error| unsignable(&error))?;
    write_if_changed(&public, pem.as_bytes())?;
    let description = format!("Debian {}, imported by mailimg", request.mapping.suite);
    let index = Index { description, packages: packages.to_vec(), left_out: Vec::new() };
    let bytes = index.write(Some(&key)).map_err(|error| unsignable(&error))?;
    write_if_changed(&directory.join("APKINDEX.tar.gz"), &bytes)?;
    Ok(public)
}

fn write_if_changed(path: &Utf8Path, bytes: &[u8]) -> Result<(), ImportError> {
    if fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    Ok(write_atomic(path, bytes, 0o644)?)
}

/// `repository.key` for the directory `repository`: next to it, so that serving the directory doesn't publish the key.
fn key_name(out: &Utf8Path) -> String {
    format!("{}.key", out.file_name().unwrap_or("repository"))
}

/// The key in the file `path`, created on the first run. Its name contains the start of its fingerprint, so that the
/// keys of several machines can share a directory.
fn signing_key(path: &Utf8Path) -> Result<SigningKey, ImportError> {
    let wrong = |error: &dyn std::error::Error| ImportError::Key { message: format!("{path}: {error}") };
    let pem = if path.exists() {
        fs::read_to_string(path).map_err(ImportError::file(path))?
    } else {
        let pem = SigningKey::generate("new.rsa.pub").and_then(|key| key.private_pem()).map_err(|e| wrong(&e))?;
        write_atomic(path, pem.as_bytes(), 0o600)?;
        pem
    };
    let public =
        SigningKey::from_pem("new.rsa.pub", pem.as_bytes()).and_then(|key| key.public_pem()).map_err(|e| wrong(&e))?;
    let fingerprint = Sha256::of(&public).to_string();
    let short = fingerprint.get(..8).unwrap_or_default();
    SigningKey::from_pem(&format!("mailimg-debian-{short}.rsa.pub"), pem.as_bytes()).map_err(|error| wrong(&error))
}
