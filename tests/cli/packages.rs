//! `mailimg apk inspect|verify` and `mailimg repo key|index|sign`, on packages made here.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use mailimg::apk::package::{Info, PackageWriter, Script, ScriptKind};
use mailimg::apk::tar::{Entry, EntryKind};
use mailimg::apk::{Dependency, Package};

use crate::common::project::Project;

/// Writes `NAME-1.0-r0.apk` with a few files into a folder of the project.
fn package(project: &Project, folder: &str, name: &str, arch: &str) -> PathBuf {
    let mut package = Package::new(name, "1.0-r0".parse().unwrap(), arch);
    package.description = "made up".into();
    package.license = "MIT".into();
    package.build_time = Some(1_700_000_000);
    package.depends = Dependency::parse_list("so:libc.musl-x86_64.so.1 !other").unwrap();
    let info = Info { package, data_hash: None, triggers: Vec::new() };
    let mut writer = PackageWriter::new(1_700_000_000);
    let mut program = Entry::new(format!("usr/bin/{name}"), EntryKind::File, 0o4755);
    program.size = 4;
    program.group = "postdrop".into();
    writer.add(&program, &mut &b"\x7fELF"[..]).unwrap();
    let link = EntryKind::Symlink(b"/usr/bin/x".to_vec());
    writer.add(&Entry::new("usr/bin/link", link, 0o777), &mut std::io::empty()).unwrap();
    let script = Script { kind: ScriptKind::PostInstall, text: b"#!/bin/sh\necho \x1b[31m hello\n".to_vec() };
    let mut bytes = Vec::new();
    writer.finish(&info, &[script], None, &mut bytes).unwrap();
    project.write(format!("{folder}/{name}-1.0-r0.apk"), bytes)
}

/// A key pair made once for all tests, because large ones take seconds.
fn keys(project: &Project) -> (PathBuf, PathBuf) {
    static KEY: std::sync::OnceLock<(String, String)> = std::sync::OnceLock::new();
    let (private, public) = KEY.get_or_init(|| {
        let maker = Project::new();
        maker.run(["repo", "key", "--name", "me@example.org-1", "--out", "made/here"]);
        (maker.read("made/here/me@example.org-1.rsa"), maker.read("made/here/me@example.org-1.rsa.pub"))
    });
    let private = project.write("private/me@example.org-1.rsa", private);
    project.write("keys/me@example.org-1.rsa.pub", public);
    (private, project.path().join("keys"))
}

/// Runs, expects this exit code, and returns standard error.
fn fails(project: &Project, code: i32, args: &[&str]) -> String {
    let output = project.mailimg(args).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{args:?}: {error}");
    error
}

fn flip(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn key_pairs_are_private_and_never_overwritten() {
    let project = Project::new();
    let printed = project.run(["repo", "key", "--name", "ops"]);
    assert_eq!(printed, "./ops.rsa\n./ops.rsa.pub\n");
    let mode = |name| std::fs::metadata(project.path().join(name)).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode("ops.rsa"), mode("ops.rsa.pub")), (0o600, 0o644));
    let before = project.read("ops.rsa");
    assert!(before.starts_with("-----BEGIN PRIVATE KEY-----\n"));
    let error = fails(&project, 2, &["repo", "key", "--name", "ops"]);
    assert!(error.contains("ops.rsa.pub already exists"), "{error}");
    let public = project.read("ops.rsa.pub");
    std::fs::remove_file(project.path().join("ops.rsa.pub")).unwrap();
    assert_eq!(project.run(["repo", "key", "--name", "ops"]), printed, "as after an interruption");
    assert_eq!((project.read("ops.rsa"), project.read("ops.rsa.pub")), (before, public));
    let error = fails(&project, 2, &["repo", "key", "--name", "../ops"]);
    assert!(error.contains("is not a valid key name"), "{error}");
}

#[test]
fn a_repository_is_made_signed_and_verified() {
    let project = Project::new();
    let (private, keys) = keys(&project);
    let (private, keys) = (private.to_str().unwrap(), keys.to_str().unwrap());
    package(&project, "repo/x86_64", "b", "x86_64");
    package(&project, "repo/x86_64", "a", "noarch");
    let index = project.path().join("repo/x86_64/APKINDEX.tar.gz");

    let sign = ["repo", "sign", "--key", private, "repo/x86_64/a-1.0-r0.apk", "repo/x86_64/b-1.0-r0.apk"];
    project.run(sign);
    let printed = project.run(["repo", "index", "repo/x86_64", "--key", private, "--description", "mine"]);
    assert_eq!(printed, "repo/x86_64/APKINDEX.tar.gz\n");
    let first = std::fs::read(&index).unwrap();
    project.run(["repo", "index", "repo/x86_64", "--key", private, "--description", "mine"]);
    assert_eq!(std::fs::read(&index).unwrap(), first);

    let files = ["repo/x86_64/APKINDEX.tar.gz", "repo/x86_64/a-1.0-r0.apk", "repo/x86_64/b-1.0-r0.apk"];
    let verified = project.run([&["apk", "verify", "--keys-dir", keys][..], &files].concat());
    let expected = files.map(|file| format!("{file}: signed by me@example.org-1.rsa.pub\n"));
    assert_eq!(verified, expected.concat());

    // noarch packages are listed where apk looks for them.
    let listed = mailimg::apk::index::Index::read_unverified(&first).unwrap();
    let archs: Vec<_> = listed.packages.iter().map(|it| (it.name.as_str(), it.arch.as_str())).collect();
    assert_eq!(archs, [("a", "x86_64"), ("b", "x86_64")]);
    assert_eq!(listed.description, "mine");
}

#[test]
fn refuses_what_is_tampered_with_unsigned_or_signed_by_strangers() {
    let project = Project::new();
    let (private, keys) = keys(&project);
    let (private, keys) = (private.to_str().unwrap(), keys.to_str().unwrap());
    let file = package(&project, "repo", "a", "x86_64");
    let name = "repo/a-1.0-r0.apk";
    let verify = ["apk", "verify", "--keys-dir", keys, name];

    let error = fails(&project, 3, &verify);
    assert!(error.contains("it is not signed") && error.contains("mailimg repo sign"), "{error}");

    project.run(["repo", "sign", "--key", private, name]);
    project.run(verify);
    let size = std::fs::read(&file).unwrap().len();
    flip(&file, size - 20);
    let error = fails(&project, 3, &verify);
    assert!(error.contains(name), "{error}");
    flip(&file, size - 20);

    let stranger = Project::new();
    stranger.run(["repo", "key", "--name", "stranger", "--out", "keys"]);
    let other = stranger.path().join("keys");
    let error = fails(&project, 3, &["apk", "verify", "--keys-dir", other.to_str().unwrap(), name]);
    assert!(error.contains("me@example.org-1.rsa.pub") && error.contains("stranger.rsa.pub"), "{error}");

    project.run(["repo", "index", "repo", "--key", private]);
    let index = project.path().join("repo/APKINDEX.tar.gz");
    flip(&index, 700);
    let error = fails(&project, 3, &["apk", "verify", "--keys-dir", keys, "repo/APKINDEX.tar.gz"]);
    assert!(error.contains("repo/APKINDEX.tar.gz"), "{error}");
}

#[test]
fn verify_looks_at_every_file() {
    let project = Project::new();
    let (private, keys) = keys(&project);
    let keys = keys.to_str().unwrap();
    for name in ["a", "b", "c"] {
        package(&project, "repo", name, "x86_64");
    }
    project.run(["repo", "sign", "--key", private.to_str().unwrap(), "repo/b-1.0-r0.apk"]);
    let files = ["repo/a-1.0-r0.apk", "repo/b-1.0-r0.apk", "repo/c-1.0-r0.apk"];
    let output = project.mailimg([&["apk", "verify", "--keys-dir", keys][..], &files].concat()).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "repo/b-1.0-r0.apk: signed by me@example.org-1.rsa.pub\n");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains(files[0]) && error.contains(files[2]), "{error}");
}

#[test]
fn inspect_shows_all_of_a_package() {
    let project = Project::new();
    package(&project, ".", "demo", "x86_64");
    let text = project.run(["apk", "inspect", "demo-1.0-r0.apk"]);
    for expected in [
        "package       demo 1.0-r0, x86_64\n",
        "built         2023-11-14T22:13:20Z\n",
        "depends       so:libc.musl-x86_64.so.1 !other\n",
        "signed by     nobody\n",
        "--- post-install, SHA-256 ",
        "4755 file      root:postdrop          4 usr/bin/demo\n",
        "0777 symlink   root:root              - usr/bin/link -> /usr/bin/x\n",
        "--- 4 entries\n",
    ] {
        assert!(text.contains(expected), "{expected:?} in\n{text}");
    }
    assert!(!text.contains('\x1b'), "escape sequences of a package reach the terminal:\n{text}");

    let json: serde_json::Value =
        serde_json::from_str(&project.run(["apk", "inspect", "--json", "demo-1.0-r0.apk"])).unwrap();
    let members = json["file"]["members"].as_array().unwrap();
    let sizes: u64 = members.iter().map(|member| member["size"].as_u64().unwrap()).sum();
    assert_eq!(json["file"]["size"], sizes);
    assert_eq!(json["package"]["name"], "demo");
    assert_eq!(json["scripts"][0]["kind"], "post-install");
    let program = json["entries"].as_array().unwrap().iter().find(|entry| entry["path"] == "usr/bin/demo").unwrap();
    assert_eq!((&program["mode"], &program["group"]), (&"4755".into(), &"postdrop".into()));
}

#[test]
fn says_what_is_wrong_with_a_file() {
    let project = Project::new();
    let file = package(&project, ".", "demo", "x86_64");
    let bytes = std::fs::read(&file).unwrap();
    project.write("v3.apk", "ADB.1234");
    project.write("page.apk", "<html>");
    project.write("text.apk", "words");
    project.write("short.apk", &bytes[..bytes.len() - 9]);
    project.write("long.apk", [&bytes[..], &[0; 512]].concat());
    project.write("empty/README", "");
    for (code, args, expected) in [
        (3, &["apk", "inspect", "v3.apk"][..], "format v3"),
        (3, &["apk", "inspect", "page.apk"], "looks like HTML"),
        (3, &["apk", "inspect", "text.apk"], "this is not a package"),
        (3, &["apk", "inspect", "short.apk"], "the data member is damaged"),
        (3, &["apk", "inspect", "long.apk"], "something other than gzip follows the data"),
        (4, &["apk", "inspect", "missing.apk"], "missing.apk"),
        (4, &["apk", "verify", "--keys-dir", "empty", "v3.apk"], "no file name ends with .rsa.pub"),
        (4, &["repo", "index", "empty"], "no file name ends with .apk"),
        (2, &["apk", "inspect"], "FILE"),
    ] {
        let error = fails(&project, code, args);
        assert!(error.contains(expected), "{args:?}: {error}");
    }
}

#[test]
fn indexes_only_what_apk_could_install_from_it() {
    let project = Project::new();
    package(&project, "noarch", "a", "noarch");
    let error = fails(&project, 2, &["repo", "index", "noarch"]);
    assert!(error.contains("--arch"), "{error}");
    project.run(["repo", "index", "noarch", "--arch", "aarch64"]);

    package(&project, "mixed", "a", "x86_64");
    package(&project, "mixed", "b", "aarch64");
    let error = fails(&project, 2, &["repo", "index", "mixed"]);
    assert!(error.contains("b-1.0-r0.apk is for aarch64"), "{error}");

    let file = package(&project, "renamed", "a", "x86_64");
    std::fs::rename(&file, file.with_file_name("other.apk")).unwrap();
    let error = fails(&project, 2, &["repo", "index", "renamed"]);
    assert!(error.contains("must be named a-1.0-r0.apk"), "{error}");
    assert!(!project.path().join("renamed/APKINDEX.tar.gz").exists());
}
