//! Converts a `.deb` into an apk package. The same `.deb`, rules and dependencies give the same bytes on every machine.

use std::io;

use camino::Utf8Path;

use super::closure::Selected;
use super::deb::Deb;
use super::error::ImportError;
use super::mapping::Mapping;
use super::tree::Tree;
use crate::apk::Package;
use crate::apk::package::{Info, PackageWriter, Written};

/// Converts the `.deb` at `file` into the package that `package` describes.
pub(super) fn convert(
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
    let mut writer = PackageWriter::new(mtime.cast_signed());
    for (entry, content) in tree.into_entries()? {
        writer.add(&entry, &mut &*content).map_err(|error| unwritable(&error))?;
    }
    let package = Package { installed_size: writer.content_size(), ..package };
    let info = Info { package, data_hash: None, triggers: Vec::new() };
    writer.finish(&info, &[], None, sink).map_err(|error| unwritable(&error))
}

#[cfg(test)]
mod tests {
    use super::super::closure::select;
    use super::super::deb::tests::{append, made_up};
    use super::super::describe::describe;
    use super::super::facts::Facts;
    use super::*;
    use crate::apk::package::PackageReader;
    use crate::apk::{DebSource, tar};
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
                "\"usr/bin/loot\", which the package doesn't contain",
            ),
            ("postdrop = 208", "", "belongs to the group \"postdrop\", which has no id"),
            ("*.pem", "*.crt", "\"usr/share/tool/*.crt\", which the package doesn't contain"),
            ("\"one\" = \"ONE\"", "\"three\" = \"3\"", "with \\\"three\\\"\""),
        ] {
            assert!(MAPPING.contains(old), "{old}");
            let error = converted(&MAPPING.replace(old, new)).unwrap_err().to_string();
            assert!(error.contains(expected), "{error} lacks {expected}");
        }
    }
}
