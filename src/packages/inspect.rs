use crate::apk::package::{Control, Measured};
use crate::apk::{DebSource, Keyring, Package};
use crate::digest::Sha256;
use crate::lock::{Deb, LockedPackage, Script};
use crate::timestamp::Timestamp;

/// A package file, read from one end to the other.
#[derive(Debug, Clone)]
pub(crate) struct Inspected {
    pub(crate) control: Control,
    pub(crate) measured: Measured,
    /// Names of the trusted keys that signed it; none if it is not signed.
    pub(crate) signers: Vec<String>,
}

/// Whether a package must be signed itself, beside being named by a signed index.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Trust<'a> {
    /// By one of these keys.
    Signed(&'a Keyring),
    /// It may be unsigned: the index vouches for it. What signature there is must be good.
    ByIndex(&'a Keyring),
    /// Its members' SHA-256 vouch for it.
    Locked,
}

/// The architecture of packages that fit all. Alpine's indexes name the machine's own instead, and so does the installed
/// database.
pub(crate) const NOARCH: &str = "noarch";

/// Name of a package's file in its repository.
pub(crate) fn file_name(package: &Package) -> String {
    format!("{}-{}.apk", package.name, package.version)
}

impl Inspected {
    /// What a lock says of it. `arch` is what the index says in place of `noarch`, the digests are those of the file and
    /// of the uncompressed data.
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

/// Free text as a lock can hold it.
fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ").trim().to_owned()
}

/// What an imported package says it was made of.
fn debs(package: &Package) -> Vec<Deb> {
    let deb = |DebSource { name, version, sha256, .. }| Deb { name, version, sha256 };
    DebSource::of(package).map(deb).into_iter().collect()
}
