//! A project is read as what somebody else may have written: nothing outside it is read, and nothing in it makes a
//! command wait or take memory without a bound.

use std::os::unix::fs::symlink;
use std::process::Output;
use std::time::Duration;

use crate::common::project::Project;

const SECRET: &str = "root:$6$SECRETHASH$x:1:0:::::\n";

fn project() -> Project {
    let project = Project::new();
    project.run(["init", "example.org"]);
    fs_err::write(project.root().join("shadow"), SECRET).unwrap();
    project
}

/// Runs a command that must be refused soon.
fn refused(project: &Project, args: &[&str]) -> String {
    let mut command = project.mailimg(args);
    command.env("CI_TOKEN", "SECRETHASH").timeout(Duration::from_secs(50));
    let Output { status, stdout, stderr } = command.output().unwrap();
    let said = String::from_utf8([stdout, stderr].concat()).unwrap();
    assert_eq!(status.code(), Some(2), "{args:?}: {said}");
    assert!(!said.contains("SECRETHASH"), "{said}");
    said
}

#[test]
fn links_out_of_the_project_are_not_followed() {
    for target in ["../shadow", "/proc/self/environ", "/dev/zero", "/etc/passwd"] {
        for (path, args) in [
            ("mailimg.toml", &["config", "check"][..]),
            ("recipes/zoo.toml", &["config", "check"]),
            ("apk-locks/debian-13/channel.toml", &["config", "check"]),
            ("apk-locks/debian-13/scripts.toml", &["config", "check"]),
            ("apk-locks/debian-13/import.toml", &["repo", "import-debian", "--offline"]),
            ("apk-locks/debian-13/postfix.x86_64.lock", &["build", "--offline", "--arch", "x86_64"]),
            ("images/postfix/rootfs/etc/postfix/main.cf.hbs", &["config", "check"]),
        ] {
            let project = project();
            let place = project.path().join(path);
            let _ = fs_err::remove_file(&place);
            // From a folder, "../" leads to its parent only.
            let target = if target == "../shadow" { project.root().join("shadow") } else { target.into() };
            symlink(&target, &place).unwrap();
            if path.starts_with("images/") {
                // Links are baked as such, and a template has to be a file.
                let checked = project.mailimg(args).output().unwrap();
                assert!(!String::from_utf8_lossy(&checked.stderr).contains("SECRETHASH"));
                continue;
            }
            let said = refused(&project, args);
            assert!(said.contains("is a link that leads out of"), "{path}: {said}");
            assert!(said.contains("hint: replace the link by a copy"), "{path}: {said}");
        }
    }
}

#[test]
fn folders_outside_the_project_are_not_baked() {
    for place in ["images/postfix/rootfs", "images/postfix", "images"] {
        let project = project();
        let outside = project.root().join("outside/postfix/rootfs");
        fs_err::create_dir_all(&outside).unwrap();
        fs_err::write(outside.join("shadow"), SECRET).unwrap();
        fs_err::remove_dir_all(project.path().join(place)).unwrap();
        let target = place.replacen("images", "outside", 1);
        symlink(project.root().join(target), project.path().join(place)).unwrap();
        let said = refused(&project, &["config", "check"]);
        assert!(said.contains("is a link that leads out of"), "{said}");
    }
}

#[test]
fn links_inside_the_project_are_followed() {
    let project = project();
    for path in ["mailimg.toml", "recipes", "images/postfix/rootfs", "apk-locks/debian-13"] {
        let place = project.path().join(path);
        let moved = project.path().join(format!("moved-{}", path.replace('/', "-")));
        fs_err::rename(&place, &moved).unwrap();
        symlink(&moved, &place).unwrap();
    }
    project.run(["config", "check"]);
}

#[test]
fn what_is_no_regular_file_is_not_waited_for() {
    let project = project();
    for path in ["recipes/fifo.toml", "apk-locks/debian-13/scripts.toml"] {
        let place = project.path().join(path);
        let _ = fs_err::remove_file(&place);
        assert!(std::process::Command::new("mkfifo").arg(&place).status().unwrap().success());
        let said = refused(&project, &["config", "check"]);
        assert!(said.contains(&format!("{path} is not a regular file")), "{said}");
        fs_err::remove_file(&place).unwrap();
    }
}

#[test]
fn large_files_are_not_read() {
    for path in ["mailimg.toml", "recipes/large.toml", "images/postfix/rootfs/large", "images/postfix/rootfs/large.hbs"]
    {
        let project = project();
        let file = fs_err::OpenOptions::new().create(true).append(true).open(project.path().join(path)).unwrap();
        file.set_len(1 << 40).unwrap();
        let said = refused(&project, &["config", "check"]);
        assert!(said.contains(&format!("{path} has more than")), "{said}");
    }
}

#[test]
fn an_excerpt_is_short_and_controls_no_terminal() {
    let project = project();
    project.write("recipes/zoo.toml", format!("x = 1 \u{1b}]0;pwn\u{7}\u{202e}{}", "long".repeat(100_000)));
    let said = refused(&project, &["config", "check"]);
    assert!(said.contains("\\u{1b}]0;pwn\\u{7}\\u{202e}") && !said.contains('\u{1b}'), "{said}");
    assert!(said.len() < 2000, "{} bytes", said.len());
}
