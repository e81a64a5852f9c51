//! One `.deb` into one apk package. The same `.deb`, rules and needs give the same bytes on every machine.

use std::collections::BTreeMap;
use std::io;

use camino::Utf8Path;

use super::closure::Selected;
use super::deb::{Deb, Entry, Kind};
use super::error::ImportError;
use super::glob;
use super::license;
use super::mapping::{FileRule, Made, Mapping, PackageRule};
use crate::apk::package::{Info, PackageWriter, Written};
use crate::apk::{DebSource, Dependency, Package, Provide, tar};
use crate::config::Directory;

/// Where distroless images record Debian packages, one file each; scanners read it.
const STATUS_DIRECTORY: &str = "var/lib/dpkg/status.d";

/// apk's name of an architecture of Debian's. `None` for those that no channel has.
#[must_use]
pub fn apk_arch(debian: &str) -> Option<&'static str> {
    match debian {
        "amd64" => Some("x86_64"),
        "arm64" => Some("aarch64"),
        _ => None,
    }
}

/// What the package will say of itself, but for sizes and checksum.
///
/// Packages for all architectures (`all`) name the repository's, `arch`: apk looks for `noarch` ones in a directory of
/// that name.
pub fn describe(selected: &Selected, mapping: &Mapping, arch: &str) -> Result<Package, ImportError> {
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
        // The text is in the package; no machine-readable file says which licence it is.
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

/// All with a version: apk does not choose what provides a name without one.
fn provides(selected: &Selected, rule: Option<&PackageRule>, package: &Package) -> Result<Vec<Provide>, ImportError> {
    let mut provides = Vec::new();
    for (library, version) in &selected.provides {
        let version = version.parse().map_err(|_| ImportError::Unwritable {
            package: selected.candidate.name.clone(),
            message: format!("{library} has no version that apk knows: {version:?}"),
        })?;
        provides.push(Provide { name: format!("so:{library}"), version: Some(version) });
    }
    for provide in rule.into_iter().flat_map(|rule| &rule.provides) {
        let version = provide.version.clone().or_else(|| Some(package.version.clone()));
        provides.push(Provide { name: provide.name.clone(), version });
    }
    Ok(provides)
}

/// Reads the `.deb` at `file` and writes it as the package that `package` describes.
pub fn convert(
    file: &Utf8Path,
    selected: &Selected,
    mapping: &Mapping,
    package: Package,
    sink: &mut impl io::Write,
) -> Result<Written, ImportError> {
    let name = &selected.candidate.name;
    let deb = Deb::open(file, |_| true).map_err(|source| ImportError::Deb { file: file.to_string(), source })?;
    let mtime = selected.facts.newest;
    let tree = Tree::build(name, deb, mapping, mtime)?;

    let unwritable = |error: &dyn std::error::Error| {
        let cause = error.source().map_or_else(String::new, |cause| format!(": {cause}"));
        ImportError::Unwritable { package: name.clone(), message: format!("{error}{cause}") }
    };
    let mut writer = PackageWriter::new(mtime);
    for (entry, content) in tree.into_entries()? {
        writer.add(&entry, &mut &*content).map_err(|error| unwritable(&error))?;
    }
    let package = Package { installed_size: writer.content_size(), ..package };
    let info = Info { package, data_hash: None, triggers: Vec::new() };
    writer.finish(&info, &[], None, sink).map_err(|error| unwritable(&error))
}

/// The files of a package, by path.
struct Tree<'a> {
    package: &'a str,
    mapping: &'a Mapping,
    mtime: u64,
    entries: BTreeMap<String, Entry>,
}

impl<'a> Tree<'a> {
    fn build(package: &'a str, deb: Deb, mapping: &'a Mapping, mtime: u64) -> Result<Self, ImportError> {
        let mut tree = Self { package, mapping, mtime, entries: BTreeMap::new() };
        let made = tree.made_files(&deb.entries)?;
        tree.entries.extend(
            deb.entries
                .into_iter()
                .filter(|entry| mapping.keeps(package, &entry.path))
                .map(|entry| (entry.path.clone(), entry)),
        );
        tree.entries.extend(made.into_iter().map(|entry| (entry.path.clone(), entry)));
        if let Some(rule) = mapping.rule(package) {
            tree.apply(rule)?;
        }
        let mut control = deb.control.trim_end().to_owned();
        control.push('\n');
        let status = format!("{STATUS_DIRECTORY}/{package}");
        tree.insert(&status, Kind::File(control.into_bytes()), 0o644);
        Ok(tree)
    }

    /// Made before anything is left out, since some are made of what is.
    fn made_files(&self, entries: &[Entry]) -> Result<Vec<Entry>, ImportError> {
        let rules = self.mapping.rule(self.package).into_iter().flat_map(|rule| &rule.files);
        rules
            .filter_map(|rule| {
                let content = match rule.made.as_ref()? {
                    Made::Content(content) => Ok(content.clone().into_bytes()),
                    Made::Concat { pattern, replace } => self.concat(entries, pattern, replace),
                };
                Some(content.map(|content| Entry {
                    path: relative(rule.path.as_str()).to_owned(),
                    kind: Kind::File(content),
                    ..self.entry()
                }))
            })
            .collect()
    }

    fn concat(
        &self,
        entries: &[Entry],
        pattern: &str,
        replace: &BTreeMap<String, String>,
    ) -> Result<Vec<u8>, ImportError> {
        let mut files: Vec<(&str, &[u8])> = entries
            .iter()
            .filter_map(|entry| match &entry.kind {
                Kind::File(content) if glob::matches(pattern, &entry.path) => Some((&*entry.path, &**content)),
                _ => None,
            })
            .collect();
        if files.is_empty() {
            return Err(self.no_path(pattern));
        }
        files.sort_unstable();
        let mut all = Vec::new();
        for (_, content) in files {
            all.extend_from_slice(content);
            if !all.ends_with(b"\n") {
                all.push(b'\n');
            }
        }
        if replace.is_empty() {
            return Ok(all);
        }
        let mut text = String::from_utf8_lossy(&all).into_owned();
        for (old, new) in replace {
            if !text.contains(old) {
                return Err(self.no_path(&format!("{pattern} with {old:?}")));
            }
            text = text.replace(old, new);
        }
        Ok(text.into_bytes())
    }

    fn apply(&mut self, rule: &PackageRule) -> Result<(), ImportError> {
        for Directory { path, mode, owner, group } in &rule.directories {
            let path = relative(path.as_str());
            if !self.entries.get(path).is_some_and(|entry| entry.kind == Kind::Directory) {
                self.insert(path, Kind::Directory, 0o755);
            }
            self.set(path, mode.bits(), owner, group)?;
        }
        for FileRule { path, mode, owner, group, .. } in &rule.files {
            self.set(relative(path.as_str()), *mode, owner, group)?;
        }
        for link in &rule.links {
            self.insert(relative(link.path.as_str()), Kind::Symlink(link.target.clone()), 0o777);
        }
        Ok(())
    }

    fn set(&mut self, path: &str, mode: u32, owner: &str, group: &str) -> Result<(), ImportError> {
        let missing = self.no_path(path);
        let entry = self.entries.get_mut(path).ok_or(missing)?;
        entry.mode = mode;
        // Numbers of names that the mapping does not know are the archive's own; here there are none.
        (entry.user, entry.uid) = (owner.to_owned(), u64::MAX);
        (entry.group, entry.gid) = (group.to_owned(), u64::MAX);
        Ok(())
    }

    fn insert(&mut self, path: &str, kind: Kind, mode: u32) {
        self.entries.insert(path.to_owned(), Entry { path: path.to_owned(), kind, mode, ..self.entry() });
    }

    /// An entry of root's, to be completed.
    fn entry(&self) -> Entry {
        Entry {
            path: String::new(),
            kind: Kind::Directory,
            mode: 0o644,
            uid: 0,
            gid: 0,
            user: "root".to_owned(),
            group: "root".to_owned(),
            mtime: self.mtime,
        }
    }

    /// Directories first, so that real ones come before links to them; each kind by path.
    fn into_entries(mut self) -> Result<Vec<(tar::Entry, Vec<u8>)>, ImportError> {
        self.order_hardlinks()?;
        let entries = std::mem::take(&mut self.entries);
        let (directories, others): (Vec<_>, Vec<_>) =
            entries.into_values().partition(|entry| entry.kind == Kind::Directory);
        directories.into_iter().chain(others).map(|entry| self.pack(entry)).collect()
    }

    fn pack(&self, entry: Entry) -> Result<(tar::Entry, Vec<u8>), ImportError> {
        let uid = self.number("user", &entry.path, &entry.user, entry.uid, &self.mapping.users)?;
        let gid = self.number("group", &entry.path, &entry.group, entry.gid, &self.mapping.groups)?;
        let (kind, content) = match entry.kind {
            Kind::Directory => (tar::EntryKind::Directory, Vec::new()),
            Kind::File(content) => (tar::EntryKind::File, content),
            Kind::Symlink(target) => (tar::EntryKind::Symlink(target.into_bytes()), Vec::new()),
            Kind::Hardlink(target) => (tar::EntryKind::Hardlink(target.into_bytes()), Vec::new()),
        };
        let packed = tar::Entry {
            uid,
            gid,
            user: entry.user,
            group: entry.group,
            size: content.len() as u64,
            mtime: entry.mtime,
            ..tar::Entry::new(entry.path, kind, entry.mode)
        };
        Ok((packed, content))
    }

    /// The number of an owner: the mapping's, else the archive's if it is one of those that base-passwd fixes.
    fn number(
        &self,
        kind: &'static str,
        path: &str,
        name: &str,
        archived: u64,
        known: &BTreeMap<String, u32>,
    ) -> Result<u32, ImportError> {
        if let Some(number) = known.get(name) {
            return Ok(*number);
        }
        match u32::try_from(archived) {
            _ if name == "root" => Ok(0),
            Ok(archived) if archived < 100 => Ok(archived),
            _ => Err(ImportError::NoAccount {
                package: self.package.to_owned(),
                path: path.to_owned(),
                kind,
                name: name.to_owned(),
            }),
        }
    }

    /// Of several names of one file the first one by path gets the content.
    fn order_hardlinks(&mut self) -> Result<(), ImportError> {
        let mut names: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (path, entry) in &self.entries {
            if let Kind::Hardlink(target) = &entry.kind {
                names.entry(target.clone()).or_default().push(path.clone());
            }
        }
        for (target, links) in names {
            let missing = self.no_path(&target);
            let Some(file) = self.entries.get(&target).filter(|entry| matches!(entry.kind, Kind::File(_))) else {
                return Err(missing);
            };
            let file = file.clone();
            let mut paths: Vec<String> = links.into_iter().chain([target]).collect();
            paths.sort();
            let Some((first, others)) = paths.split_first() else { continue };
            for other in others {
                let kind = Kind::Hardlink(first.clone());
                self.entries.insert(other.clone(), Entry { path: other.clone(), kind, ..file.clone() });
            }
            self.entries.insert(first.clone(), Entry { path: first.clone(), ..file });
        }
        Ok(())
    }

    fn no_path(&self, path: &str) -> ImportError {
        ImportError::NoPath { package: self.package.to_owned(), path: path.to_owned() }
    }
}

fn relative(path: &str) -> &str {
    path.strip_prefix('/').unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::super::closure::select;
    use super::super::deb::tests::{append, made_up};
    use super::super::facts::Facts;
    use super::*;
    use crate::apk::package::PackageReader;
    use crate::debian::apt::Lists;
    use crate::digest::Sha256;

    const CONTROL: &str = "Package: tool\nSource: tools (1)\nVersion: 1:2.0~rc1+dfsg-3+deb13u1\nArchitecture: amd64\n\
                           Maintainer: A <a@example.org>\nDescription: a tool\n and more\n";

    const MAPPING: &str = r#"
        suite = "trixie"
        base = "tool"
        roots = ["tool"]
        exclude = ["usr/share/doc/", "etc/init.d/"]
        include = ["usr/share/doc/*", "usr/share/doc/*/copyright"]
        [groups]
        postdrop = 208
        [package.tool]
        name = "apk-tool"
        provides = ["tool-bundle", "cmd:tool=7"]
        [[package.tool.file]]
        path = "/usr/bin/tool"
        mode = "2755"
        group = "postdrop"
        [[package.tool.file]]
        path = "/etc/bundle"
        concat = "usr/share/tool/*.pem"
        replace = { "one" = "ONE" }
        [[package.tool.link]]
        path = "/etc/tool.conf"
        target = "bundle"
        [[package.tool.directory]]
        path = "/var/lib/tool"
        mode = "0700"
    "#;

    fn deb() -> Vec<u8> {
        let mut tar = tar_builder();
        let copyright = b"Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n\
                          Files: *\nLicense: GPL-2+\n";
        for (path, kind, mode, content, link) in [
            ("./", b'5', 0o755, &b""[..], ""),
            ("./usr/bin/tool", b'0', 0o755, b"#!/bin/sh\n", ""),
            ("./usr/bin/also", b'1', 0o755, b"", "./usr/bin/tool"),
            ("./usr/bin/link", b'2', 0o777, b"", "tool"),
            ("./usr/share/doc/tool/", b'5', 0o755, b"", ""),
            ("./usr/share/doc/tool/copyright", b'0', 0o644, copyright, ""),
            ("./usr/share/doc/tool/README", b'0', 0o644, b"no", ""),
            ("./usr/share/tool/b.pem", b'0', 0o644, b"two", ""),
            ("./usr/share/tool/a.pem", b'0', 0o644, b"one\n", ""),
            ("./etc/init.d/tool", b'0', 0o755, b"no", ""),
            ("./run/fifo", b'6', 0o644, b"", ""),
        ] {
            append(&mut tar, path, kind, mode, content, link);
        }
        made_up(CONTROL, ".xz", &tar.into_inner().unwrap())
    }

    fn tar_builder() -> ::tar::Builder<Vec<u8>> {
        ::tar::Builder::new(Vec::new())
    }

    fn converted(mapping: &str) -> Result<(Vec<u8>, Package), ImportError> {
        let directory = tempfile::tempdir().unwrap();
        let directory = Utf8Path::from_path(directory.path()).unwrap();
        let file = directory.join("tool.deb");
        let deb = deb();
        std::fs::write(&file, &deb).unwrap();
        // The xz encoder of another version may pack differently: what the package names is the same in every run.
        let sha256 = Sha256::of("the .deb");
        let lists = Lists::new(vec![format!("{}Size: 1\nSHA256: {sha256}\n", CONTROL.replace(" and more\n", ""))]);
        let mapping: Mapping = toml::from_str(mapping).unwrap();
        let facts = Facts::of(&file, sha256, "amd64", directory)?;
        let selected = select(&mapping, &lists, "amd64", &|_| Ok(vec![facts.clone()]))?;
        let selected = selected.first().expect("one package");
        let described = describe(selected, &mapping, "x86_64")?;
        let mut bytes = Vec::new();
        let written = convert(&file, selected, &mapping, described, &mut bytes)?;
        assert_eq!(written.sha256, Sha256::of(&bytes));
        Ok((bytes, written.package))
    }

    #[test]
    fn a_package_says_what_it_was_made_of() {
        let (_, package) = converted(MAPPING).unwrap();
        assert_eq!((package.name.as_str(), package.version.as_str()), ("apk-tool", "2.0_rc1-r1003000100"));
        assert_eq!((package.arch.as_str(), package.origin.as_deref()), ("x86_64", Some("tools")));
        assert_eq!((package.license.as_str(), package.build_time), ("GPL-2.0-or-later", Some(1_700_000_000)));
        let provides: Vec<String> = package.provides.iter().map(ToString::to_string).collect();
        assert_eq!(provides, ["tool-bundle=2.0_rc1-r1003000100", "cmd:tool=7"]);
        let source = DebSource::of(&package).unwrap();
        assert_eq!(source.version, "1:2.0~rc1+dfsg-3+deb13u1");
        assert_eq!((source.name.as_str(), source.sha256), ("tool", Sha256::of("the .deb")));
    }

    #[test]
    fn files_are_as_the_mapping_says() {
        let (bytes, _) = converted(MAPPING).unwrap();
        let mut reader = PackageReader::new(&*bytes).unwrap();
        let mut lines = Vec::new();
        while let Some(entry) = reader.next_entry().unwrap() {
            let mut content = String::new();
            if entry.kind == tar::EntryKind::File {
                io::Read::read_to_string(&mut reader.content(), &mut content).unwrap();
            }
            let target = entry.kind.target().map(|target| String::from_utf8_lossy(target).into_owned());
            let owner = format!("{}:{} {}:{}", entry.user, entry.group, entry.uid, entry.gid);
            let path = entry.display_path();
            lines.push(format!("{path} {:o} {owner} {:?}", entry.mode, target.unwrap_or(content)));
        }
        let root = "root:root 0:0";
        let made = lines.iter().map(String::as_str).filter(|line| !line.contains("copyright")).collect::<Vec<_>>();
        assert_eq!(
            made,
            [
                &format!("usr 755 {root} \"\"") as &str,
                &format!("usr/share 755 {root} \"\""),
                &format!("usr/share/doc 755 {root} \"\""),
                &format!("usr/share/doc/tool 755 {root} \"\""),
                &format!("var 755 {root} \"\""),
                &format!("var/lib 755 {root} \"\""),
                &format!("var/lib/tool 700 {root} \"\""),
                &format!("etc 755 {root} \"\""),
                &format!("etc/bundle 644 {root} \"ONE\\ntwo\\n\""),
                &format!("etc/tool.conf 777 {root} \"bundle\""),
                &format!("usr/bin 755 {root} \"\""),
                "usr/bin/also 2755 root:postdrop 0:208 \"#!/bin/sh\\n\"",
                &format!("usr/bin/link 777 {root} \"tool\""),
                "usr/bin/tool 2755 root:postdrop 0:208 \"usr/bin/also\"",
                &format!("usr/share/tool 755 {root} \"\""),
                &format!("usr/share/tool/a.pem 644 {root} \"one\\n\""),
                &format!("usr/share/tool/b.pem 644 {root} \"two\""),
                &format!("var/lib/dpkg 755 {root} \"\""),
                &format!("var/lib/dpkg/status.d 755 {root} \"\""),
                &format!("var/lib/dpkg/status.d/tool 644 {root} {CONTROL:?}"),
            ]
        );
    }

    #[test]
    fn the_same_bytes_on_every_machine() {
        let (bytes, _) = converted(MAPPING).unwrap();
        insta::assert_snapshot!(Sha256::of(&bytes), @"ff00331741b62b3cc6f6986435c468c6a8d4607f1b0188d6a4207bf1fbd4bd3e");
        assert_eq!(bytes, converted(MAPPING).unwrap().0);
    }

    #[test]
    fn a_mapping_that_does_not_fit_is_an_error() {
        for (old, new, expected) in [
            (
                "path = \"/usr/bin/tool\"",
                "path = \"/usr/bin/loot\"",
                "\"usr/bin/loot\", which the package does not have",
            ),
            ("postdrop = 208", "", "belongs to group \"postdrop\", which has no number"),
            ("*.pem", "*.crt", "\"usr/share/tool/*.crt\", which the package does not have"),
            ("\"one\" = \"ONE\"", "\"three\" = \"3\"", "with \\\"three\\\"\""),
        ] {
            assert!(MAPPING.contains(old), "{old}");
            let error = converted(&MAPPING.replace(old, new)).unwrap_err().to_string();
            assert!(error.contains(expected), "{error} lacks {expected}");
        }
    }
}
