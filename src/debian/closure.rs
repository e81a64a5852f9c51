//! Finds the dependencies of packages from what their programs request from the dynamic loader.
//!
//! Debian's own dependencies would bring in debconf, perl and systemd, for maintainer scripts that are never run. They
//! are used only to decide which packages to search for a library.

use std::collections::{BTreeMap, BTreeSet};

use super::apt::{Candidate, Lists};
use super::error::ImportError;
use super::facts::{Facts, Program};
use super::mapping::Mapping;

/// A package to import, and what it needs.
#[derive(Debug, Clone)]
pub(super) struct Selected {
    /// Its entry in Debian's lists.
    pub candidate: Candidate,
    /// What was read from it.
    pub facts: Facts,
    /// The packages it needs, by Debian's names.
    pub packages: BTreeSet<String>,
    /// The libraries in the loader's default directories that it needs from others.
    pub libraries: BTreeSet<String>,
    /// The libraries that it has in the loader's default directories, with their versions.
    pub provides: BTreeMap<String, String>,
}

/// Downloads packages and reads them.
pub(super) type Fetch<'a> = dyn Fn(&[&Candidate]) -> Result<Vec<Facts>, ImportError> + 'a;

/// Finds the packages to import. `fetch` is called once per round.
pub(super) fn select(
    mapping: &Mapping,
    lists: &Lists,
    arch: &str,
    fetch: &Fetch<'_>,
) -> Result<Vec<Selected>, ImportError> {
    let mut closure = Closure {
        mapping,
        lists,
        defaults: default_directories(arch),
        known: BTreeMap::new(),
        selected: BTreeSet::new(),
        places: Places::default(),
    };
    let mut wanted: BTreeMap<String, String> = BTreeMap::new();
    for root in mapping.roots.iter().chain([&mapping.base]) {
        wanted.insert(root.clone(), "the mapping".to_owned());
    }
    while !wanted.is_empty() {
        closure.learn(&wanted, fetch)?;
        closure.selected.extend(wanted.into_keys());
        wanted = closure.next_round(fetch)?;
    }
    closure.selected.iter().map(|name| closure.finish(name)).collect()
}

/// The default directories of glibc's loader, without a leading slash.
fn default_directories(arch: &str) -> Vec<String> {
    let triplet = match arch {
        "arm64" => "aarch64-linux-gnu",
        _ => "x86_64-linux-gnu",
    };
    vec![format!("usr/lib/{triplet}"), "usr/lib".to_owned(), "usr/lib64".to_owned()]
}

/// The packages that contain a library, by path and by name.
#[derive(Debug, Default)]
struct Places {
    by_path: BTreeMap<String, BTreeSet<String>>,
    by_name: BTreeMap<String, BTreeSet<String>>,
}

struct Closure<'a> {
    mapping: &'a Mapping,
    lists: &'a Lists,
    defaults: Vec<String>,
    known: BTreeMap<String, (Candidate, Facts)>,
    selected: BTreeSet<String>,
    places: Places,
}

/// The location of a required library.
enum Found {
    /// In the package itself, or allowed to be missing.
    Nothing,
    /// In a default directory, from this package.
    Library(String),
    /// In this package's own directory.
    Package(String),
}

impl Closure<'_> {
    /// Downloads and reads unknown packages. Keys are names, values say who requires them.
    fn learn(&mut self, wanted: &BTreeMap<String, String>, fetch: &Fetch<'_>) -> Result<(), ImportError> {
        let mut candidates = Vec::new();
        for (name, wanted_by) in wanted.iter().filter(|(name, _)| !self.known.contains_key(*name)) {
            candidates.push(self.lists.newest(name).ok_or_else(|| ImportError::NoPackage {
                name: name.clone(),
                wanted_by: wanted_by.clone(),
                suite: self.mapping.suite.clone(),
            })?);
        }
        let facts = fetch(&candidates.iter().collect::<Vec<_>>())?;
        for (candidate, facts) in candidates.into_iter().zip(facts) {
            for path in facts.libraries.iter().filter(|path| self.mapping.keeps(&candidate.name, path)) {
                let name = path.rsplit('/').next().unwrap_or_default();
                self.places.by_path.entry(path.clone()).or_default().insert(candidate.name.clone());
                self.places.by_name.entry(name.to_owned()).or_default().insert(candidate.name.clone());
            }
            self.known.insert(candidate.name.clone(), (candidate, facts));
        }
        Ok(())
    }

    /// The packages that the selected ones need and that aren't selected yet.
    fn next_round(&mut self, fetch: &Fetch<'_>) -> Result<BTreeMap<String, String>, ImportError> {
        loop {
            let mut wanted = BTreeMap::new();
            let mut missing = Vec::new();
            for name in &self.selected {
                for needed in self.mapped_dependencies(name) {
                    wanted.insert(needed.to_owned(), format!("the mapping of {name}"));
                }
                for (program, library) in self.needs(name) {
                    match self.find(name, program, library) {
                        Some(Found::Library(package) | Found::Package(package)) => {
                            wanted.insert(package, name.clone());
                        }
                        Some(Found::Nothing) => {}
                        None => missing.push((name.clone(), program.path.clone(), library.to_owned())),
                    }
                }
            }
            wanted.retain(|name, _| !self.selected.contains(name));
            if missing.is_empty() || !wanted.is_empty() {
                return Ok(wanted);
            }
            let mut to_learn = BTreeMap::new();
            for (package, file, library) in missing {
                let names = self.where_to_look(&package);
                if names.is_empty() {
                    return Err(ImportError::NoLibrary { package, file, library });
                }
                to_learn.extend(names.into_iter().map(|name| (name, package.clone())));
            }
            self.learn(&to_learn, fetch)?;
        }
    }

    fn mapped_dependencies(&self, name: &str) -> impl Iterator<Item = &str> {
        let rule = self.mapping.rule(name);
        rule.into_iter().flat_map(|rule| rule.depends.iter().map(String::as_str))
    }

    /// What the imported programs of a package require.
    fn needs(&self, name: &str) -> impl Iterator<Item = (&Program, &str)> {
        let programs = self.known.get(name).map(|(_, facts)| facts.programs.as_slice()).unwrap_or_default();
        let kept = programs.iter().filter(move |program| self.mapping.keeps(name, &program.path));
        kept.flat_map(|program| program.elf.needed.iter().map(move |library| (program, library.as_str())))
    }

    /// The unknown Debian dependencies of a package: first libraries, then all others.
    fn where_to_look(&self, name: &str) -> Vec<String> {
        let unknown = |name: &str| !self.known.contains_key(name) && self.lists.newest(name).is_some();
        let names: Vec<String> =
            self.debian_dependencies(name).into_iter().filter(|name| unknown(name)).map(str::to_owned).collect();
        let libraries: Vec<String> = names.iter().filter(|name| name.starts_with("lib")).cloned().collect();
        if libraries.is_empty() { names } else { libraries }
    }

    fn debian_dependencies(&self, name: &str) -> Vec<&str> {
        let Some((candidate, _)) = self.known.get(name) else { return Vec::new() };
        let fields = ["Pre-Depends", "Depends"].into_iter();
        fields.flat_map(|field| candidate.entry.relations(field)).flatten().collect()
    }

    /// Searches the known packages for a library, as the loader would.
    fn find(&self, name: &str, program: &Program, library: &str) -> Option<Found> {
        let origin = program.path.rsplit_once('/').map_or("", |(directory, _)| directory);
        let own_directories = program.elf.runpath.iter().map(|directory| plain_path(directory, origin));
        for directory in own_directories.chain(self.defaults.iter().cloned()) {
            if let Some(owners) = self.places.by_path.get(&format!("{directory}/{library}")) {
                let owner = self.choose(name, owners)?;
                return Some(match owner {
                    owner if owner == name => Found::Nothing,
                    owner if self.defaults.contains(&directory) => Found::Library(owner.to_owned()),
                    owner => Found::Package(owner.to_owned()),
                });
            }
        }
        let rule = self.mapping.rule(name);
        if rule.is_some_and(|rule| rule.ignore_libraries.iter().any(|ignored| ignored == library)) {
            return Some(Found::Nothing);
        }
        // A plugin relies on its program to have loaded the library from a private directory.
        let owners = self.places.by_name.get(library)?;
        match self.choose(name, owners)? {
            owner if owner == name => Some(Found::Nothing),
            owner if self.debian_dependencies(name).contains(&owner) => Some(Found::Package(owner.to_owned())),
            _ => None,
        }
    }

    /// The package itself, or one of its Debian dependencies, or the first by name.
    fn choose<'b>(&self, name: &str, owners: &'b BTreeSet<String>) -> Option<&'b str> {
        let dependencies = self.debian_dependencies(name);
        let best = |owner: &&String| match owner.as_str() {
            owner if owner == name => 0,
            owner if dependencies.contains(&owner) => 1,
            _ => 2,
        };
        owners.iter().min_by_key(best).map(String::as_str)
    }

    fn finish(&self, name: &str) -> Result<Selected, ImportError> {
        let no_package = || ImportError::NoPackage {
            name: name.to_owned(),
            wanted_by: "the mapping".to_owned(),
            suite: self.mapping.suite.clone(),
        };
        let (candidate, facts) = self.known.get(name).ok_or_else(no_package)?.clone();
        let mut packages: BTreeSet<String> = self.mapped_dependencies(name).map(str::to_owned).collect();
        let mut libraries = BTreeSet::new();
        for (program, library) in self.needs(name) {
            match self.find(name, program, library) {
                Some(Found::Library(_)) => drop(libraries.insert(library.to_owned())),
                Some(Found::Package(package)) => drop(packages.insert(package)),
                _ => {}
            }
        }
        let base = &self.mapping.base;
        // What the base itself needs comes before it.
        if name != base && !self.mapped_dependencies(base).any(|needed| needed == name) {
            packages.insert(base.clone());
        }
        let provides = self.provided(name, &facts);
        Ok(Selected { candidate, facts, packages, libraries, provides })
    }

    /// The libraries in default directories, under the names that others look for.
    fn provided(&self, name: &str, facts: &Facts) -> BTreeMap<String, String> {
        let kept = facts.programs.iter().filter(|program| self.mapping.keeps(name, &program.path));
        kept.filter_map(|program| {
            let (directory, file) = program.path.rsplit_once('/')?;
            let soname = program.elf.soname.as_ref().filter(|_| self.defaults.iter().any(|path| path == directory))?;
            let found = facts.libraries.contains(&format!("{directory}/{soname}"));
            found.then(|| (soname.clone(), library_version(file, soname)))
        })
        .collect()
    }
}

/// The version of a library, from its file name (`libz.so.1.3.1`) or its soname, or 0.
fn library_version(file: &str, soname: &str) -> String {
    let version = |name: &str| {
        let (_, version) = name.split_once(".so.")?;
        let plain = version.split('.').all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
        plain.then(|| version.to_owned())
    };
    version(file).or_else(|| version(soname)).unwrap_or_else(|| "0".to_owned())
}

/// A directory of `RUNPATH` without a leading slash; `$ORIGIN` is the program's directory.
fn plain_path(directory: &str, origin: &str) -> String {
    let text = directory.replace("${ORIGIN}", "$ORIGIN").replace("$ORIGIN", origin);
    let mut parts: Vec<&str> = Vec::new();
    for part in text.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    if matches!(parts.first(), Some(&("lib" | "lib64"))) {
        parts.insert(0, "usr");
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::debian::elf::Elf;
    use crate::digest::Sha256;

    #[test]
    fn directories_are_made_plain() {
        assert_eq!(plain_path("$ORIGIN/../lib", "usr/bin"), "usr/lib");
        assert_eq!(plain_path("/usr/lib/postfix/", "usr/bin"), "usr/lib/postfix");
        assert_eq!(plain_path("/lib/x", ""), "usr/lib/x");
    }

    #[test]
    fn versions_of_libraries() {
        for (file, soname, expected) in [
            ("libz.so.1.3.1", "libz.so.1", "1.3.1"),
            ("libdb-5.3.so", "libdb-5.3.so", "0"),
            ("libicudata.so.76.1", "libicudata.so.76", "76.1"),
            ("libc.so.6", "libc.so.6", "6"),
            ("liba.so.1-beta", "liba.so.1", "1"),
        ] {
            assert_eq!(library_version(file, soname), expected, "{file}");
        }
    }

    /// Path, soname, needed libraries, directories to look in.
    type Made = (&'static str, Option<&'static str>, &'static [&'static str], &'static [&'static str]);

    fn facts(programs: &[Made], links: &[&str]) -> Facts {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let programs: Vec<_> = programs
            .iter()
            .map(|(path, soname, needed, runpath)| Program {
                path: (*path).to_owned(),
                elf: Elf { needed: owned(needed), soname: soname.map(str::to_owned), runpath: owned(runpath) },
            })
            .collect();
        let libraries = programs.iter().map(|program| program.path.clone()).chain(owned(links)).collect();
        Facts { newest: 0, licenses: Vec::new(), programs, libraries }
    }

    fn lists(packages: &[(&str, &str)]) -> Lists {
        let entry = |(name, depends): &(&str, &str)| {
            let sha256 = Sha256::of(name);
            format!("Package: {name}\nVersion: 1\nArchitecture: amd64\nSize: 1\nSHA256: {sha256}\nDepends: {depends}\n")
        };
        Lists::new(vec![packages.iter().map(entry).collect::<Vec<_>>().join("\n")])
    }

    /// A daemon with a plugin package, a library of its own directory, one of a default directory, and a script
    /// package that Debian would bring along.
    fn world() -> (Lists, BTreeMap<String, Facts>) {
        let lists = lists(&[
            ("base", ""),
            ("daemon", "libz1 (>= 1.2), libunused, debconf | cdebconf, base"),
            ("plugin", "daemon, libz1, odd"),
            ("libz1", ""),
            ("libunused", ""),
            ("odd", ""),
            ("tool", ""),
        ]);
        let facts = BTreeMap::from([
            ("base".to_owned(), facts(&[], &[])),
            (
                "daemon".to_owned(),
                facts(
                    &[
                        ("usr/sbin/daemon", None, &["libd.so.0", "libz.so.1"], &["/usr/lib/daemon"]),
                        ("usr/lib/daemon/libd.so.0.1", Some("libd.so.0"), &[], &[]),
                    ],
                    &["usr/lib/daemon/libd.so.0"],
                ),
            ),
            (
                "plugin".to_owned(),
                facts(&[("usr/lib/daemon/plugin.so", None, &["libd.so.0", "libodd.so.3"], &["$ORIGIN"])], &[]),
            ),
            (
                "libz1".to_owned(),
                facts(
                    &[("usr/lib/x86_64-linux-gnu/libz.so.1.3.1", Some("libz.so.1"), &[], &[])],
                    &["usr/lib/x86_64-linux-gnu/libz.so.1"],
                ),
            ),
            ("libunused".to_owned(), facts(&[], &[])),
            ("odd".to_owned(), facts(&[("usr/lib/x86_64-linux-gnu/libodd.so.3", Some("libodd.so.3"), &[], &[])], &[])),
            ("tool".to_owned(), facts(&[], &[])),
        ]);
        (lists, facts)
    }

    fn run(mapping: &str) -> Result<Vec<Selected>, ImportError> {
        let (lists, facts) = world();
        let mapping: Mapping = toml::from_str(&format!("suite = \"trixie\"\n{mapping}")).unwrap();
        select(&mapping, &lists, "amd64", &|wanted| {
            Ok(wanted.iter().map(|candidate| facts[&candidate.name].clone()).collect())
        })
    }

    #[test]
    fn follows_libraries_and_the_mapping_only() {
        let selected = run("base = \"base\"\nroots = [\"plugin\"]\n[package.daemon]\ndepends = [\"tool\"]\n").unwrap();
        let names: Vec<_> = selected.iter().map(|package| package.candidate.name.as_str()).collect();
        assert_eq!(names, ["base", "daemon", "libz1", "odd", "plugin", "tool"]);
        let of = |name: &str| selected.iter().find(|package| package.candidate.name == name).unwrap();
        let text = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>().join(" ");
        assert_eq!(text(&of("daemon").packages), "base tool");
        assert_eq!(text(&of("daemon").libraries), "libz.so.1");
        assert!(of("daemon").provides.is_empty(), "a library of a directory of its own is for itself");
        assert_eq!(text(&of("plugin").packages), "base daemon");
        assert_eq!(text(&of("plugin").libraries), "libodd.so.3");
        assert_eq!(of("libz1").provides, BTreeMap::from([("libz.so.1".to_owned(), "1.3.1".to_owned())]));
        assert!(of("base").packages.is_empty());
    }

    #[test]
    fn a_library_that_is_nowhere_is_an_error() {
        let without = "base = \"base\"\nroots = [\"plugin\"]\n[package.odd]\nexclude = [\"usr/\"]\n";
        let error = run(without).unwrap_err();
        assert!(matches!(&error, ImportError::NoLibrary { library, .. } if library == "libodd.so.3"), "{error}");
        assert!(run(&format!("{without}[package.plugin]\nignore-libraries = [\"libodd.so.3\"]\n")).is_ok());
    }

    #[test]
    fn a_package_that_is_nowhere_is_an_error() {
        let error = run("base = \"base\"\nroots = [\"plugni\"]\n").unwrap_err();
        assert!(error.to_string().contains("the mapping asks for the Debian package \"plugni\""), "{error}");
    }
}
