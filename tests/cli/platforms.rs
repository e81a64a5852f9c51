//! Images for several architectures in one layout: none replaces another, and each command says which one it uses.

use std::os::unix::fs::PermissionsExt as _;

use super::build::{digests, packages, project};
use crate::common::packages::MadeRepository;
use crate::common::project::Project;

/// A project with one image, locked for two architectures.
fn for_two_architectures() -> Project {
    let project = project(&packages());
    let repository = MadeRepository::new(project.path().join("repository"), &packages());
    repository.add_architecture("aarch64", &packages());
    project.replace("apk-locks/made-up/channel.toml", r#"["x86_64"]"#, r#"["x86_64", "aarch64"]"#);
    let keys = project.root().join("keys");
    for arch in ["x86_64", "aarch64"] {
        project.run(["lock", "--arch", arch, "--keys-dir", keys.to_str().unwrap()]);
    }
    project
}

/// The name of an image in an engine.
fn local(digest: &str) -> String {
    format!("mailimg/web:{}", &digest["sha256:".len()..][..16])
}

/// A program that accepts images as an engine does, and records its calls.
fn engine(project: &Project) -> String {
    let path = project.root().join("engine");
    let script = "#!/bin/sh\necho \"$*\" >> \"$0.log\"\n\
                  case $1 in image) exit 1;; load) cat > \"$0.tar\";; esac\n";
    fs_err::write(&path, script).unwrap();
    fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn builds_for_two_architectures_are_both_kept() {
    let project = for_two_architectures();
    let build = |arch: &str| digests(&project.run(["build", "--json", "--archive", "--arch", arch])).remove(0);
    let (intel, arm) = (build("x86_64"), build("aarch64"));
    assert_ne!(intel, arm);
    let index: serde_json::Value = serde_json::from_str(&project.read("oci/index.json")).unwrap();
    let listed =
        |key: &str| index["manifests"].as_array().unwrap().iter().map(|it| it[key].clone()).collect::<Vec<_>>();
    assert_eq!(listed("digest"), [intel.as_str(), arm.as_str()]);
    let platforms = r#"[{"architecture":"amd64","os":"linux"},{"architecture":"arm64","os":"linux","variant":"v8"}]"#;
    assert_eq!(serde_json::to_string(&listed("platform")).unwrap(), platforms);
    for archive in ["oci/web.tar", "oci/web.aarch64.tar"] {
        assert!(ocidir::OciArchive::open(project.path().join(archive)).is_ok(), "{archive}");
    }
    assert_eq!(build("x86_64"), intel, "again");
    assert_eq!(serde_json::from_str::<serde_json::Value>(&project.read("oci/index.json")).unwrap(), index);
    assert_eq!(project.run(["digest", "--arch", "aarch64"]), format!("web {arm}\n"));
}

#[test]
fn the_channels_first_architecture_is_meant_unless_another_is_named() {
    let project = for_two_architectures();
    let arm = digests(&project.run(["build", "--json", "--arch", "aarch64"])).remove(0);
    assert!(project.run(["compose", "-o", "-"]).contains(&local(&arm)), "the only one there is");
    let intel = digests(&project.run(["build", "--json"])).remove(0);
    let engine = engine(&project);
    for (args, digest, is_told) in [(&[][..], &intel, true), (&["--arch", "aarch64"], &arm, false)] {
        let compose = project.mailimg(["compose", "-o", "-"]).args(args).output().unwrap();
        let load = project.mailimg(["load", "--engine", &engine]).args(args).output().unwrap();
        for output in [&compose, &load] {
            let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            assert!(output.status.success(), "{error}");
            assert!(out.contains(&local(digest)), "{args:?}: {out}");
            let told = "has images for x86_64 and aarch64: using those for x86_64; choose others with --arch";
            assert_eq!(error.contains(told), is_told, "{args:?}: {error}");
        }
        let sent = ocidir::OciArchive::open(project.root().join("engine.tar"));
        assert!(sent.is_ok(), "{args:?}");
    }
    let log = fs_err::read_to_string(format!("{engine}.log")).unwrap();
    assert!(log.contains(&local(&arm)) && log.contains(&local(&intel)), "{log}");
}

#[test]
fn an_image_of_unclear_architecture_is_not_guessed() {
    let project = for_two_architectures();
    for arch in ["x86_64", "aarch64"] {
        project.run(["build", "--arch", arch]);
    }
    let layout = project.path().join("oci");
    let load = |args: &[&str]| {
        let mut command =
            project.mailimg(["load", "--engine", &engine(&project), "--layout", layout.to_str().unwrap()]);
        let output = command.current_dir(project.root()).args(args).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, error) = load(&[]);
    assert_eq!(code, Some(2), "{error}");
    assert!(error.contains("has web for x86_64 and aarch64") && error.contains("choose one with --arch"), "{error}");
    let (code, error) = load(&["--arch", "s390x"]);
    assert_eq!(code, Some(4), "{error}");
    assert!(error.contains("has web for x86_64 and aarch64, not for s390x"), "{error}");
    let (code, error) = load(&["--arch", "vax"]);
    assert_eq!(code, Some(2), "{error}");
    assert!(error.contains("\"vax\" is not a supported architecture"), "{error}");
    assert_eq!(load(&["--arch", "aarch64", "web"]).0, Some(0));
}
