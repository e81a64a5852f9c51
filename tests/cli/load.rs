//! `mailimg load` with a fake engine program. The container tests use the real one.

use std::os::unix::fs::PermissionsExt as _;

use super::build::{digests, packages, project};
use crate::common::project::Project;
use crate::fake_engine::path;

/// A program that answers as an engine does: it has the images that `known` lists, and keeps those that it loads.
fn engine(project: &Project, name: &str, loads: &str) {
    let script = format!(
        "#!/bin/sh\ncd \"${{0%/*}}\"\ncase \"$1\" in\nversion) ;;\nimage) grep -qx \"$3\" known;;\nload) {loads};;\n*) \
         exit 9;;\n\
         esac\n"
    );
    let program = project.write(format!("bin/{name}"), script);
    fs_err::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    project.write("bin/known", "");
}

fn load(project: &Project, args: &[&str]) -> (i32, String, String) {
    let output = project.mailimg(["load"]).args(args).env("PATH", path(project)).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn an_image_is_sent_once_under_the_name_that_is_printed() {
    let project = project(&packages());
    let digest = digests(&project.run(["build", "--json"])).remove(0);
    engine(&project, "docker", "cat >loaded");
    let name = format!("mailimg/web:{}", &digest["sha256:".len()..][..16]);
    let loaded = || {
        let (code, out, said) = load(&project, &[]);
        assert_eq!((code, out), (0, format!("{name}\n")), "{said}");
        assert!(said.starts_with("1 image is in the engine, after ") && said.lines().count() == 1, "{said}");
    };
    loaded();

    let sent = project.path().join("bin/loaded");
    let mut archive = tar::Archive::new(fs_err::File::open(&sent).unwrap());
    let manifest =
        archive.entries().unwrap().map(Result::unwrap).find(|it| it.path().unwrap().ends_with("manifest.json"));
    let manifest: serde_json::Value = serde_json::from_reader(manifest.unwrap()).unwrap();
    assert_eq!(manifest[0]["RepoTags"][0], name.as_str());

    fs_err::remove_file(&sent).unwrap();
    project.write("bin/known", &name);
    loaded();
    assert!(!sent.exists());
}

#[test]
fn podman_is_used_where_docker_does_not_answer() {
    let project = project(&packages());
    project.run(["build"]);
    engine(&project, "podman", "cat >loaded");
    let docker = project.write("bin/docker", "#!/bin/sh\necho 'Cannot connect to the Docker daemon' >&2\nexit 1\n");
    fs_err::set_permissions(&docker, std::fs::Permissions::from_mode(0o755)).unwrap();
    let (code, out, said) = load(&project, &[]);
    assert!(code == 0 && out.starts_with("mailimg/web:"), "{said}");
    assert!(project.path().join("bin/loaded").exists());

    let (code, _, said) = load(&project, &["--engine", "docker"]);
    assert_eq!(code, 4, "{said}");
    assert!(said.contains("no container engine answers (docker: Cannot connect to the Docker daemon)"), "{said}");
}

#[test]
fn what_the_engine_says_is_told() {
    let project = project(&packages());
    project.run(["build"]);
    engine(&project, "docker", "echo 'no space left on device' >&2; exit 1");
    let (code, out, said) = load(&project, &[]);
    assert!(code == 6 && out.is_empty(), "{said}");
    assert!(said.contains("`docker load` refused web: no space left on device"), "{said}");
}

#[test]
fn a_damaged_layout_is_not_blamed_on_the_engine() {
    let project = project(&packages());
    let images: serde_json::Value = serde_json::from_str(&project.run(["build", "--json"])).unwrap();
    let layer = images[0]["layers"][0]["digest"].as_str().unwrap().replace(':', "/");
    fs_err::remove_file(project.path().join("oci/blobs").join(layer)).unwrap();
    engine(&project, "docker", "cat >loaded; echo 'unexpected EOF' >&2; exit 1");
    let (code, _, said) = load(&project, &[]);
    assert_eq!(code, 6, "{said}");
    assert!(said.contains("can't read its input") && said.contains("No such file"), "{said}");
}

/// Whoever can write to a layout could otherwise have any file of this machine sent.
#[test]
fn a_layer_that_is_a_link_or_was_changed_is_not_loaded() {
    let project = project(&packages());
    let images: serde_json::Value = serde_json::from_str(&project.run(["build", "--json"])).unwrap();
    let layer = images[0]["layers"][0]["digest"].as_str().unwrap().replace(':', "/");
    let layer = project.path().join("oci/blobs").join(layer);
    let size = usize::try_from(layer.metadata().unwrap().len()).unwrap();
    let secret = project.write("elsewhere", "secret ".repeat(size).get(..size).unwrap());
    engine(&project, "docker", "cat >loaded; echo 'unexpected EOF' >&2; exit 1");
    let load = || {
        let (code, _, said) = load(&project, &[]);
        assert_eq!(code, 6, "{said}");
        said
    };
    fs_err::remove_file(&layer).unwrap();
    std::os::unix::fs::symlink(&secret, &layer).unwrap();
    let said = load();
    assert!(said.contains("oci/blobs/sha256/") && said.contains(": it is not a regular file"), "{said}");
    let loaded = fs_err::read(project.path().join("bin/loaded")).unwrap();
    assert!(!String::from_utf8_lossy(&loaded).contains("secret secret"));
    fs_err::remove_file(&layer).unwrap();
    fs_err::write(&layer, vec![0; size]).unwrap();
    assert!(load().contains("it was changed: its SHA-256 is "));
}

#[test]
fn images_are_not_loaded_before_they_are_built_or_without_an_engine() {
    let project = project(&packages());
    let load = |args: &[&str]| {
        let output = project.mailimg(["load"]).args(args).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, error) = load(&[]);
    assert_eq!(code, 4, "{error}");
    assert!(error.contains("no images have been built"), "{error}");
    project.run(["build"]);
    let (code, error) = load(&["--engine", "/nonexistent/engine"]);
    assert_eq!(code, 4, "{error}");
    assert!(error.contains("no container engine answers") && error.contains("install Docker"), "{error}");
    let (code, error) = load(&["absent"]);
    assert_eq!(code, 4, "{error}");
    assert!(error.contains(r#"no image "absent"; its images are web"#), "{error}");
    assert!(project.path().join("oci/oci-layout").exists());
}
