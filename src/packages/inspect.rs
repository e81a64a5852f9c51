use crate::apk::package::{Control, Measured};
use crate::apk::{DebSource, Package};
use crate::digest::Sha256;
use crate::lock::{Deb, LockedPackage, Script};
use crate::timestamp::Timestamp;

/// A completely read package file.
#[derive(Debug, Clone)]
pub(crate) struct Inspected {
    pub(crate) control: Control,
    pub(crate) measured: Measured,
    /// The names of the trusted keys that signed it; none if it is unsigned.
    pub(crate) signers: Vec<String>,
}

/// The architecture of packages that fit all. Alpine's indexes and the installed database use the machine's own
/// instead.
pub(crate) const NOARCH: &str = "noarch";

/// The name of a package's file in its repository.
pub(crate) fn file_name(package: &Package) -> String {
    format!("{}-{}.apk", package.name, package.version)
}

impl Inspected {
    /// Its entry in a lock. `arch` is the index's replacement for `noarch`; the digests are those of the file and of
    /// the uncompressed data.
    pub(crate) fn locked(
        &self,
        file: &str,
        repository: &str,
        arch: &str,
        (sha256, diff_id): (Sha256, Sha256),
    ) -> LockedPackage {
        let Self { control, measured, .. } = self;
        let package = &control.package;
        let mut scripts: Vec<_> = control
            .scripts
            .iter()
            .map(|script| Script { name: script.kind.to_string(), sha256: Sha256::of(&script.text) })
            .collect();
        scripts.sort_by(|a, b| a.name.cmp(&b.name));
        LockedPackage {
            name: package.name.clone(),
            version: package.version.clone(),
            arch: if package.arch == NOARCH { arch } else { &package.arch }.to_owned(),
            origin: package.origin.clone().unwrap_or_else(|| package.name.clone()),
            repository: repository.to_owned(),
            file: file.to_owned(),
            size: measured.size,
            sha256,
            signatures: measured.signatures.clone(),
            control: measured.control,
            data: measured.data,
            diff_id,
            unpacked: measured.diff_size,
            checksum: measured.checksum,
            built: Timestamp::from_unix(package.build_time.unwrap_or_default()),
            license: one_line(&package.license),
            debs: debs(package),
            scripts,
        }
    }
}

/// Free text in a form that locks can contain.
fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ").trim().to_owned()
}

/// What an imported package was made from, according to itself.
fn debs(package: &Package) -> Vec<Deb> {
    let deb = |DebSource { name, version, sha256, .. }| Deb { name, version, sha256 };
    DebSource::of(package).map(deb).into_iter().collect()
}
