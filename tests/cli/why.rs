//! `mailimg why` and `mailimg tree`: why a package is in an image.

use mailimg::apk::Dependency;
use serde_json::{Value, json};

use crate::build::project;
use crate::common::packages::Made;
use crate::common::project::Project;

fn packages() -> Vec<Made> {
    vec![
        Made::new("libc", "1.2.5-r0").provides("so:libc.so.1=1.2.5"),
        Made::new("libssl3", "3.1.0-r0").depends("so:libc.so.1").provides("so:libssl.so.3=3"),
        Made::new("web", "1.0-r0").depends("so:libc.so.1 so:libssl.so.3 web-common=1.0-r0 !web-old"),
        Made::new("web-common", "1.0-r0"),
        Made::new("web-common-tls", "1.0-r0").depends("libssl3>3").with(|package| {
            package.install_if = Dependency::parse_list("web-common=1.0-r0 libssl3").unwrap();
        }),
    ]
}

/// Exit code and standard error.
fn refused(project: &Project, args: &[&str]) -> (i32, String) {
    let output = project.mailimg(args).output().unwrap();
    assert_eq!(output.stdout, b"", "{args:?}");
    (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn why_shows_the_chains_from_the_world() {
    let project = project(&packages());
    insta::assert_snapshot!(project.run(["why", "web", "libssl3", "--offline"]), @r#"
    libssl3 3.1.0-r0
      world -> web -> libssl3 (so:libssl.so.3)
      world -> web -> web-common (web-common=1.0-r0) -> web-common-tls (installed if web-common=1.0-r0 libssl3) -> libssl3 (libssl3>3)
    "#);
    insta::assert_snapshot!(project.run(["why", "web", "web-common-tls"]), @r#"
    web-common-tls 1.0-r0
      world -> web -> libssl3 (so:libssl.so.3) -> web-common-tls (installed if web-common=1.0-r0 libssl3)
      world -> web -> web-common (web-common=1.0-r0) -> web-common-tls (installed if web-common=1.0-r0 libssl3)
    "#);
    insta::assert_snapshot!(project.run(["why", "web", "so:libc.so.1", "--limit", "1"]), @r#"
    libc 1.2.5-r0
      world -> web -> libc (so:libc.so.1)
      ... and more: raise --limit, or use --dot to see all of them
    "#);
    assert_eq!(project.run(["why", "web", "web"]), "web 1.0-r0\n  world -> web\n");
}

#[test]
fn why_as_json() {
    let project = project(&packages());
    let found: Value = serde_json::from_str(&project.run(["why", "web", "libssl3", "--json", "--limit", "1"])).unwrap();
    let expected = json!([{
        "image": "web",
        "package": "libssl3",
        "version": "3.1.0-r0",
        "chains": [[
            { "package": "web", "version": "1.0-r0", "kind": "requires", "by": ["web"] },
            { "package": "libssl3", "version": "3.1.0-r0", "kind": "requires", "by": ["so:libssl.so.3"] },
        ]],
        "complete": false,
    }]);
    assert_eq!(found, expected);
}

#[test]
fn tree_shows_all_of_an_image() {
    let project = project(&packages());
    insta::assert_snapshot!(project.run(["tree", "web", "--offline"]), @r#"
    web: 5 packages
    └── web 1.0-r0
        ├── libc 1.2.5-r0 (so:libc.so.1)
        ├── libssl3 3.1.0-r0 (so:libssl.so.3)
        │   ├── libc 1.2.5-r0 (so:libc.so.1)
        │   └── web-common-tls 1.0-r0 (installed if web-common=1.0-r0 libssl3)
        │       └── libssl3 3.1.0-r0 (libssl3>3) ...
        └── web-common 1.0-r0 (web-common=1.0-r0)
            └── web-common-tls 1.0-r0 (installed if web-common=1.0-r0 libssl3) ...
    "#);
    let found: Value = serde_json::from_str(&project.run(["tree", "web", "--json"])).unwrap();
    assert_eq!(found["world"], json!([{ "package": "web", "kind": "requires", "by": ["web"] }]));
    let names: Vec<_> =
        found["packages"].as_array().unwrap().iter().map(|it| it["package"].as_str().unwrap()).collect();
    assert_eq!(names, ["libc", "libssl3", "web", "web-common", "web-common-tls"]);
    let tls = json!({ "package": "web-common-tls", "kind": "install_if", "by": ["web-common=1.0-r0"] });
    assert_eq!(found["packages"][3]["brings"], json!([tls]));
}

#[test]
fn neither_needs_a_home() {
    let project = project(&packages());
    for args in [&["why", "web", "web-common"][..], &["tree", "web"]] {
        let homeless = project.mailimg(args).env_remove("HOME").env_remove("MAILIMG_CACHE_DIR").output().unwrap();
        assert_eq!(String::from_utf8_lossy(&homeless.stderr), "", "{args:?}");
        assert_eq!(String::from_utf8_lossy(&homeless.stdout), project.run(args), "{args:?}");
    }
    let build = project.mailimg(["build"]).env_remove("HOME").env_remove("MAILIMG_CACHE_DIR").output().unwrap();
    assert_eq!(build.status.code(), Some(2), "layers are to be kept");
}

#[test]
fn both_as_a_graph() {
    let project = project(&packages());
    insta::assert_snapshot!(project.run(["why", "web", "web-common", "--dot"]), @r#"
    digraph "web" {
      rankdir=LR;
      node [shape=box];
      world [label="world of web" shape=ellipse];
      p2 [label="web\n1.0-r0"];
      p3 [label="web-common\n1.0-r0"];
      world -> p2;
      p2 -> p3 [label="web-common=1.0-r0"];
    }
    "#);
    insta::assert_snapshot!(project.run(["tree", "web", "--dot"]), @r#"
    digraph "web" {
      rankdir=LR;
      node [shape=box];
      world [label="world of web" shape=ellipse];
      p0 [label="libc\n1.2.5-r0"];
      p1 [label="libssl3\n3.1.0-r0"];
      p2 [label="web\n1.0-r0"];
      p3 [label="web-common\n1.0-r0"];
      p4 [label="web-common-tls\n1.0-r0"];
      world -> p2;
      p1 -> p0 [label="so:libc.so.1"];
      p1 -> p4 [label="installed if web-common=1.0-r0 libssl3" style=dashed];
      p2 -> p0 [label="so:libc.so.1"];
      p2 -> p1 [label="so:libssl.so.3"];
      p2 -> p3 [label="web-common=1.0-r0"];
      p3 -> p4 [label="installed if web-common=1.0-r0 libssl3" style=dashed];
      p4 -> p1 [label="libssl3>3"];
    }
    "#);
}

#[test]
fn what_can_not_be_answered_is_told() {
    let project = project(&packages());
    let (code, said) = refused(&project, &["why", "web", "libssl1"]);
    assert_eq!(code, 4, "{said}");
    assert!(said.contains("web has no package \"libssl1\" and none that provides it; it has libssl3"), "{said}");
    assert!(said.contains("hint: list its packages with `mailimg tree web`"), "{said}");
    let (code, said) = refused(&project, &["tree", "nothing"]);
    assert!(code == 2 && said.contains("nothing"), "{code} {said}");
    assert_eq!(refused(&project, &["tree", "web", "--dot", "--json"]).0, 2);

    // Neither in the store nor in its repository.
    let repository = project.path().join("repository/x86_64");
    fs_err::remove_dir_all(project.cache()).unwrap();
    fs_err::remove_file(repository.join("libc-1.2.5-r0.apk")).unwrap();
    let (code, said) = refused(&project, &["why", "web", "libc", "--offline"]);
    assert!(code == 4 && said.contains("libc-1.2.5-r0.apk"), "{code} {said}");
    fs_err::remove_file(project.path().join("apk-locks/made-up/web.x86_64.lock")).unwrap();
    let (code, said) = refused(&project, &["tree", "web"]);
    assert!(code == 4 && said.contains("mailimg lock"), "{code} {said}");
}
