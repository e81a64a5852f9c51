//! What a package made of a `.deb` says of itself.

use super::closure::Selected;
use super::error::ImportError;
use super::license;
use super::mapping::{Mapping, PackageRule};
use crate::apk::{DebSource, Dependency, Package, Provide};

/// apk's name for a Debian architecture. `None` if no channel supports it.
#[must_use]
pub(super) fn apk_arch(debian: &str) -> Option<&'static str> {
    match debian {
        "amd64" => Some("x86_64"),
        "arm64" => Some("aarch64"),
        _ => None,
    }
}

/// The metadata of the package, without sizes and checksum.
///
/// Packages for all architectures (`all`) get the repository's, `arch`, because apk looks for `noarch` packages in a
/// directory of that name.
pub(super) fn describe(selected: &Selected, mapping: &Mapping, arch: &str) -> Result<Package, ImportError> {
    let candidate = &selected.candidate;
    let name = &candidate.name;
    let control = |field| ImportError::Control { package: name.clone(), field };
    let rule = mapping.rule(name);
    let version = candidate.version.to_apk().parse().map_err(|_| control("Version"))?;
    if candidate.arch != "all" && apk_arch(&candidate.arch) != Some(arch) {
        return Err(control("Architecture"));
    }
    let mut package = Package::new(mapping.apk_name(name), version, arch);
    let source = candidate.entry.first_line("Source").and_then(|source| source.split(' ').next());
    candidate.entry.first_line("Description").unwrap_or_default().clone_into(&mut package.description);
    package.origin = Some(source.unwrap_or(name).to_owned());
    package.maintainer = candidate.entry.first_line("Maintainer").map(str::to_owned);
    package.build_time = Some(selected.facts.newest);
    package.license = rule
        .and_then(|rule| rule.license.clone())
        .or_else(|| license::expression(&selected.facts.licenses, &mapping.licenses))
        // The text is in the package, but no machine-readable file names the licence.
        .unwrap_or_else(|| "LicenseRef-debian-copyright".to_owned());
    package.url = DebSource {
        name: name.clone(),
        version: candidate.version.to_string(),
        arch: candidate.arch.clone(),
        sha256: candidate.sha256,
        suite: mapping.suite.clone(),
    }
    .to_url();
    package.depends = depends(selected, mapping);
    package.provides = provides(selected, rule, &package)?;
    Ok(package)
}

fn depends(selected: &Selected, mapping: &Mapping) -> Vec<Dependency> {
    let packages = selected.packages.iter().map(|name| mapping.apk_name(name).to_owned());
    let libraries = selected.libraries.iter().map(|library| format!("so:{library}"));
    let mut names: Vec<String> = packages.chain(libraries).collect();
    names.sort();
    names.dedup();
    names.into_iter().map(Dependency::on).collect()
}

/// All have a version, because apk doesn't choose providers without one.
fn provides(selected: &Selected, rule: Option<&PackageRule>, package: &Package) -> Result<Vec<Provide>, ImportError> {
    let mut provides = Vec::new();
    for (library, version) in &selected.provides {
        let version = version.parse().map_err(|_| ImportError::Unwritable {
            package: selected.candidate.name.clone(),
            message: format!("the version of {library} is not valid for apk: {version:?}"),
        })?;
        provides.push(Provide { name: format!("so:{library}"), version: Some(version) });
    }
    for provide in rule.into_iter().flat_map(|rule| &rule.provides) {
        let version = provide.version.clone().or_else(|| Some(package.version.clone()));
        provides.push(Provide { name: provide.name.clone(), version });
    }
    Ok(provides)
}
