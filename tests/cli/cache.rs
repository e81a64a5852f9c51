//! A read-only cache: its content is used anyway.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::build::{digests, packages, project};
use crate::common::project::Project;
use crate::disk::SmallDisk;

/// A directory that is mounted read-only over itself. It is writable again when this value is dropped.
struct ReadOnly(PathBuf);

impl ReadOnly {
    fn mount(path: &Path) -> Self {
        let mount = |args: &[&str]| {
            let output = Command::new("mount").args(args).arg(path).output().unwrap();
            assert!(output.status.success(), "needs root: {}", String::from_utf8_lossy(&output.stderr));
        };
        mount(&["--bind", path.to_str().unwrap()]);
        let mounted = Self(path.to_owned());
        mount(&["-o", "remount,ro,bind"]);
        mounted
    }
}

impl Drop for ReadOnly {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

fn error(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Checks that commands that only read give the same results as before, and leave nothing behind.
fn reads_all(project: &Project, run: impl Fn(&[&str]) -> Output) {
    let out = project.root().join("elsewhere/oci");
    let build = ["build", "--quiet", "--offline", "--json", "--output", out.to_str().unwrap()];
    let expected = digests(&project.run(["digest", "--json"]));
    for args in [&build[..], &["digest", "--json"], &["layers", "web"], &["why", "web", "libc"], &["tree", "web"]] {
        let output = run(args);
        assert!(output.status.success(), "{args:?}: {}", error(&output));
        assert_eq!(error(&output), "", "{args:?}");
        if args.contains(&"--json") {
            assert_eq!(digests(&String::from_utf8(output.stdout).unwrap()), expected, "{args:?}");
        }
    }
    assert!(out.join("index.json").is_file());
}

#[test]
fn what_is_in_a_read_only_cache_is_built() {
    let project = project(&packages());
    project.run(["build"]);
    let _mounted = ReadOnly::mount(project.cache());
    reads_all(&project, |args| project.mailimg(args).output().unwrap());
}

#[test]
fn what_a_read_only_cache_lacks_is_made_for_this_time() {
    let project = project(&packages());
    let before = digests(&project.run(["build", "--json"]));
    let _mounted = ReadOnly::mount(project.cache());
    project.replace("recipes/web.toml", "ports = [\"80/tcp\"]", "ports = [\"8080/tcp\"]");
    project.write("images/web/rootfs/etc/new", "new\n");
    let temporary = project.root().join("tmp");
    fs_err::create_dir(&temporary).unwrap();
    let output = project.mailimg(["build", "--json"]).env("TMPDIR", &temporary).output().unwrap();
    assert!(output.status.success(), "{}", error(&output));
    assert_ne!(digests(&String::from_utf8(output.stdout.clone()).unwrap()), before);
    assert!(error(&output).contains("can't be written to: new content is not kept"), "{}", error(&output));
    assert_eq!(fs_err::read_dir(&temporary).unwrap().count(), 0);
}

#[test]
fn as_root_a_full_temporary_directory_is_told() {
    let project = project(&packages());
    project.run(["build"]);
    let _mounted = ReadOnly::mount(project.cache());
    let noise: String = std::iter::repeat_with(fastrand::alphanumeric).take(500_000).collect();
    project.write("images/web/rootfs/etc/new", &noise);
    let disk = SmallDisk::mount(project.root().join("tmp"), "128k");
    let build = || project.mailimg(["build"]).env("TMPDIR", &disk.path).output().unwrap();
    let output = build();
    let said = error(&output);
    assert_eq!(output.status.code(), Some(6), "{said}");
    assert!(said.contains(disk.path.to_str().unwrap()) && said.contains("No space left on device"), "{said}");
    assert_eq!(fs_err::read_dir(&disk.path).unwrap().count(), 0);
    disk.grow("16m");
    let output = build();
    assert!(output.status.success(), "{}", error(&output));
}

#[test]
fn an_empty_cache_need_not_be_writable() {
    let project = project(&packages());
    let expected = ["why web libc", "tree web"].map(|command| project.run(command.split(' ')));
    fs_err::remove_dir_all(project.cache()).unwrap();
    fs_err::create_dir(project.cache()).unwrap();
    let _mounted = ReadOnly::mount(project.cache());
    let found = ["why web libc", "tree web"].map(|command| project.run(command.split(' ')));
    assert_eq!(found, expected);
    project.run(["build"]);
}

#[test]
fn the_cache_of_another_user_is_used() {
    let project = project(&packages());
    project.run(["build"]);
    let nobody = 65534;
    let elsewhere = project.root().join("elsewhere");
    fs_err::create_dir(&elsewhere).unwrap();
    std::os::unix::fs::chown(&elsewhere, Some(nobody), Some(nobody)).unwrap();
    fs_err::set_permissions(project.root(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let program = project.copy_program();
    let as_nobody = |args: &[&str], (variable, cache): (&str, &Path)| {
        let mut command = Command::new(&program);
        command.env_clear().env("HOME", "/nonexistent").env(variable, cache);
        command.current_dir(project.path()).args(args).uid(nobody).gid(nobody).output().unwrap()
    };
    reads_all(&project, |args| as_nobody(args, ("MAILIMG_CACHE_DIR", project.cache())));

    // Not where nobody names it, nor where a third user may write.
    let refused = |cache: (&str, &Path), expected: &str, hint: &str| {
        let output = as_nobody(&["digest"], cache);
        assert_eq!(output.status.code(), Some(2), "{}", error(&output));
        assert!(error(&output).contains(expected) && error(&output).contains(hint), "{}", error(&output));
    };
    let usual = project.root().join("usual");
    fs_err::create_dir(&usual).unwrap();
    std::os::unix::fs::symlink(project.cache(), usual.join("mailimg")).unwrap();
    refused(("XDG_CACHE_HOME", &usual), "usual/mailimg belongs to another user", "--cache-dir");
    let contents = project.cache().join("files-v2/sha256");
    fs_err::set_permissions(&contents, std::fs::Permissions::from_mode(0o775)).unwrap();
    let told = format!("others than its owner may write to {} (mode 0775)", contents.display());
    refused(("MAILIMG_CACHE_DIR", project.cache()), &told, &format!("chmod go-w {}", contents.display()));
}

#[test]
fn a_cache_is_private_whatever_the_umask() {
    for umask in ["000", "002", "077"] {
        let project = project(&packages());
        fs_err::remove_dir_all(project.cache()).unwrap();
        let script = format!("umask {umask}; exec '{}' build --quiet", env!("CARGO_BIN_EXE_mailimg"));
        let mut command = Command::new("sh");
        command.args(["-c", &script]).current_dir(project.path()).env("MAILIMG_CACHE_DIR", project.cache());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", error(&output));
        for directory in ["", "files-v2", "files-v2/tmp", "files-v2/sha256", "files-v2/facts"] {
            let mode = fs_err::metadata(project.cache().join(directory)).unwrap().permissions().mode();
            assert_eq!(mode & 0o022, 0, "{umask}: {directory} has {mode:o}");
        }
    }
}

#[test]
fn a_full_cache_is_read() {
    let project = project(&packages());
    fs_err::remove_dir_all(project.cache()).unwrap();
    let disk = SmallDisk::mount(project.cache().to_owned(), "100m");
    project.run(["build"]);
    let rest = project.cache().join("rest");
    let filled = Command::new("dd").args(["if=/dev/zero", "bs=64k"]).arg(format!("of={}", rest.display())).output();
    assert!(error(&filled.unwrap()).contains("No space left"));
    reads_all(&project, |args| project.mailimg(args).output().unwrap());
    drop(disk);
}
