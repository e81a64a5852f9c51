use std::os::unix::fs::PermissionsExt as _;

use crate::common::project::Project;

#[test]
fn init_writes_a_project_for_the_domain() {
    let project = Project::new();
    project.run(["init", "example.org", "--hostname", "mx.example.net"]);
    let site: toml::Table = project.read("mailimg.toml").parse().unwrap();
    assert_eq!(site["hostname"].as_str(), Some("mx.example.net"));
    assert_eq!(site["domains"][0].as_str(), Some("example.org"));
    assert_eq!(site["postmaster"].as_str(), Some("admin@example.org"));
    assert!(project.read(".gitignore").contains("/secrets/"));
    assert!(project.read(".gitattributes").ends_with("\n* -text\n"));
    // Programs that the engine starts must be executable in the project, too.
    let entry = project.path().join("images/postfix/rootfs/usr/local/bin/entry");
    assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o755);
    assert!(project.path().join("apk-locks").is_dir());
    let left: Vec<_> = fs_err::read_dir(project.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with(".mailimg"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn init_says_what_to_do_next() {
    let project = Project::new();
    let said = |args: &[&str]| String::from_utf8(project.mailimg(args).output().unwrap().stderr).unwrap();
    assert_eq!(
        said(&["init", "example.org"]),
        "./mailimg.toml is for mail.example.org at example.org: review it, then run\n  mailimg repo import-debian\n  \
         mailimg up\n  mailimg user add admin@example.org\n  mailimg dkim\n"
    );
    let readme = fs_err::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let (_, steps) = readme.split_once("$ mailimg init example.org").unwrap();
    let steps = steps.split("```").next().unwrap().lines().filter_map(|line| line.strip_prefix("$ "));
    let steps: Vec<&str> = steps.map(|line| line.split('#').next().unwrap().trim_end()).collect();
    let printed = said(&["-C", "site", "init", "example.org"]).replace("mailimg -C site", "mailimg");
    let printed: Vec<&str> = printed.lines().filter_map(|line| line.strip_prefix("  ")).collect();
    assert_eq!(printed, steps);
}

#[test]
fn init_changes_nothing_that_is_there() {
    let project = Project::new();
    project.write("recipes/mine.toml", "mine");
    let output = project.mailimg(["init", "example.org"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("./recipes already exists"));
    assert!(!project.path().join("mailimg.toml").exists());
    assert_eq!(project.read("recipes/mine.toml"), "mine");

    let project = Project::new();
    project.run(["init", "example.org"]);
    let site = project.read("mailimg.toml");
    assert_eq!(project.mailimg(["init", "example.com"]).output().unwrap().status.code(), Some(2));
    assert_eq!(project.read("mailimg.toml"), site);
}

#[test]
fn init_wants_a_domain() {
    for domain in ["localhost", "Bücher.example", "a_b.example"] {
        let output = Project::new().mailimg(["init", domain]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{domain}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("is not a full domain name"));
    }
}

#[test]
fn init_makes_the_directory_that_it_is_given() {
    let project = Project::new();
    project.run(["--project", "new/place", "init", "example.org"]);
    assert!(project.path().join("new/place/mailimg.toml").exists());
}
