//! The shell functions of the scripts, with the real command line.

use std::path::Path;
use std::process::{Command, Output};

use crate::build::packages;
use crate::common::packages::{Made, MadeRepository, key, write_key};
use crate::common::project::Project;

/// A site with one image, on a channel with packages imported into the cache, like Debian's.
fn site(packages: &[Made]) -> (Project, MadeRepository) {
    let project = crate::build::project(packages);
    let imported = project.cache().join("made-up");
    write_key(&imported.join("keys"), key());
    let repository = MadeRepository::new(imported, packages);
    project.write(
        "apk-locks/made-up/channel.toml",
        "description = \"made up\"\narchitectures = [\"x86_64\"]\nimport = \"debian\"\n",
    );
    fs_err::remove_file(project.path().join("apk-locks/made-up/web.x86_64.lock")).unwrap();
    (project, repository)
}

fn build_images(project: &Project) -> Output {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/lib");
    let call = format!(
        "set -euo pipefail; . {0}/common.sh; . {0}/images.sh; build_images '{1}' '{2}' made-up; say built",
        scripts.display(),
        env!("CARGO_BIN_EXE_mailimg"),
        project.path().display(),
    );
    Command::new("bash").args(["-c", &call]).env("MAILIMG_CACHE_DIR", project.cache()).output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout))
}

const LOCK: &str = "apk-locks/made-up/web.x86_64.lock";

#[test]
fn a_site_is_locked_anew_when_debian_has_replaced_a_package() {
    let (project, repository) = site(&packages());
    let first = build_images(&project);
    assert!(first.status.success() && said(&first).contains("locked for the first time"), "{}", said(&first));
    let again = build_images(&project);
    assert!(again.status.success() && !said(&again).contains("locking"), "{}", said(&again));

    let old = project.read(LOCK);
    let mut replaced = packages();
    replaced[0] = Made::new("libc", "1.2.5-r1").provides("so:libc.so.1=1.2.5");
    repository.publish(&replaced, Some(key()), Some(key()));
    let kept = build_images(&project);
    assert!(kept.status.success(), "the store has it: {}", said(&kept));
    assert_eq!(project.read(LOCK), old);

    fs_err::remove_dir_all(project.cache().join("files-v2")).unwrap();
    let output = build_images(&project);
    let text = said(&output);
    assert!(output.status.success(), "{text}");
    for expected in [
        "made-up has newer packages than its locks",
        "3 packages, 1 change\n",
        "libc 1.2.5-r0 -> 1.2.5-r1",
        "web sha256:",
        "==> built",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in:\n{text}");
    }
    assert!(project.read(LOCK).contains("libc-1.2.5-r1.apk"));
}

#[test]
fn a_lock_stays_where_locking_anew_would_not_help() {
    let (project, repository) = site(&packages());
    assert!(build_images(&project).status.success());
    let old = project.read(LOCK);
    fs_err::remove_dir_all(project.cache().join("files-v2")).unwrap();
    fs_err::remove_dir_all(repository.path()).unwrap();
    let output = build_images(&project);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(4), "{text}");
    assert!(text.contains("repo import-debian") && !text.contains("locking") && !text.contains("built"), "{text}");
    assert_eq!(project.read(LOCK), old);
}
