use std::collections::BTreeMap;

use crate::fetch::FetchError;

/// A locked package that is nowhere any more.
#[derive(Debug)]
pub struct Gone {
    /// Name, and version as its distribution writes it.
    pub package: String,
    pub file: String,
    pub repository: String,
    /// The repository's answer to the request for the package file.
    pub answer: FetchError,
    /// The registries that don't have it either.
    pub registries: Vec<String>,
}

/// Names all of them, grouped by where they were looked for.
pub(super) fn list(gone: &[Gone]) -> String {
    if let [Gone { file, answer, registries, .. }] = gone {
        return match &registries[..] {
            [] => answer.to_string(),
            registries => format!("{answer}, and {} does not have {file} either", registries.join(" or ")),
        };
    }
    let mut by_place: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for Gone { package, repository, answer, registries, .. } in gone {
        let status = answer.status().map(|status| format!(" (the server answered {status})")).unwrap_or_default();
        let places = [&[format!("{repository}{status}")], &registries[..]].concat();
        let place = format!("not in {}", places.join(", nor in "));
        by_place.entry(place).or_default().push(package);
    }
    let groups = by_place.into_iter().map(|(place, packages)| {
        let packages_are = if packages.len() == 1 { "package is" } else { "packages are" };
        format!("{} locked {packages_are} {place}:\n  {}", packages.len(), packages.join("\n  "))
    });
    groups.collect::<Vec<_>>().join("\n")
}
