//! A project that has nothing to do with mail says nothing about mail: it locks, builds and runs one image.

use crate::common::packages::{Made, MadeRepository, channel, key, write_key};
use crate::common::project::Project;

const RECIPE: &str = r#"description = "Says hello"
world = ["hello"]

[image]
entrypoint = ["/usr/bin/hello"]
"#;

fn project() -> Project {
    let project = Project::new();
    let hello = Made::new("hello", "1.0-r0").file("usr/bin/hello", "#!/bin/true\n");
    MadeRepository::new(project.path().join("repository"), &[hello]);
    project.write("apk-locks/made-up/channel.toml", channel("repository"));
    project.write("mailimg.toml", "name = \"hello\"\nchannel = \"made-up\"\nimages = [\"hello\"]\n");
    project.write("recipes/hello.toml", RECIPE);
    let keys = project.root().join("keys");
    write_key(&keys, key());
    project.run(["lock", "--keys-dir", keys.to_str().unwrap()]);
    project
}

fn refused(project: &Project, command: &str) -> String {
    let output = project.mailimg([command]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    said
}

#[test]
fn a_project_without_mail_builds_and_runs() {
    let project = project();
    project.run(["build"]);
    project.run(["secrets", "init"]);
    let file = project.run(["compose", "--output", "-"]);
    let lines: Vec<&str> = file.lines().map(str::trim).collect();
    for line in ["hello:", "hostname: hello", "read_only: true", "- ALL"] {
        assert!(lines.contains(&line), "{line} in {file}");
    }
    for absent in ["networks", "ports", "volumes", "secrets", "mem_limit", "mail.", "postfix"] {
        assert!(!file.contains(absent), "{absent} in {file}");
    }
}

#[test]
fn the_log_is_coloured_only_where_that_is_wanted() {
    let project = project();
    let keys = project.root().join("keys");
    let log = |variable: &str| {
        let lock = ["lock", "-v", "--keys-dir", keys.to_str().unwrap()];
        let output = project.mailimg(lock).env(variable, "1").output().unwrap();
        String::from_utf8(output.stderr).unwrap()
    };
    let plain = log("UNRELATED");
    assert!(plain.contains("INFO") && !plain.contains('\x1b'), "{plain}");
    assert!(log("CLICOLOR_FORCE").contains('\x1b'));
}

#[test]
fn a_value_of_the_site_is_asked_for_where_it_is_used() {
    let project = project();
    project.write("images/hello/rootfs/etc/name.hbs", "I am\n{{site.hostname}}\n");
    let said = refused(&project, "build");
    assert!(
        said.contains("./images/hello/rootfs/etc/name.hbs:2:1: site.hostname: isn't set in mailimg.toml"),
        "{said}"
    );
    assert!(said.contains("hint: set `hostname` there"), "{said}");
    fs_err::remove_file(project.path().join("images/hello/rootfs/etc/name.hbs")).unwrap();

    project.write("recipes/hello.toml", format!("{RECIPE}\n[service]\nhostname = \"{{{{site.hostname}}}}\"\n"));
    project.run(["build"]);
    let said = refused(&project, "compose");
    assert!(
        said.contains("./recipes/hello.toml:8:12: service.hostname: site.hostname: isn't set in mailimg.toml"),
        "{said}"
    );
    project.write(
        "mailimg.toml",
        "hostname = \"www.example.org\"\nname = \"hello\"\nchannel = \"made-up\"\nimages = [\"hello\"]\n",
    );
    assert!(project.run(["compose", "--output", "-"]).contains("hostname: www.example.org\n"));
    let said = refused(&project, "dkim");
    assert!(said.contains("./mailimg.toml doesn't set `domains`"), "{said}");
}
