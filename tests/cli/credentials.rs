//! Package repositories that require credentials.

use super::build::{packages, project};
use crate::common::faulty::{Fault, Faulty};
use crate::common::http::HttpServer;
use crate::common::project::Project;

/// A project whose repository is on a server that only accepts bob.
fn closed() -> (Project, Faulty) {
    let project = project(&packages());
    let server = HttpServer::directory(project.path().join("repository"));
    let port = server.url().rsplit_once(':').unwrap().1.parse().unwrap();
    let proxy = Faulty::before(port, |asked| match asked.header("authorization") {
        // bob:s3cr3tpw
        Some("Basic Ym9iOnMzY3IzdHB3") => Fault::None,
        _ => Fault::Answer("401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"packages\""),
    });
    let url = format!("url = \"http://127.0.0.1:{}\"", proxy.port());
    project.replace("apk-locks/made-up/channel.toml", "url = \"repository\"", &url);
    (project, proxy)
}

fn lock(project: &Project, variables: &[(&str, &str)]) -> (bool, String) {
    let keys = project.root().join("keys");
    let mut command = project.mailimg(["lock", "-vv", "--keys-dir", keys.to_str().unwrap()]);
    let output = command.envs(variables.iter().copied()).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn are_given_what_netrc_or_the_environment_says() {
    let (project, proxy) = closed();
    let home = project.root().join("home/.netrc");
    let named = project.write("netrc", "machine 127.0.0.1\n  login bob\n  password s3cr3tpw\n");
    let named = named.to_str().unwrap();
    let with_port = format!("basic:127.0.0.1:{}:bob:s3cr3tpw", proxy.port());
    for (netrc, variables) in [
        ("machine 127.0.0.1 login bob password s3cr3tpw", &[][..]),
        ("default login bob password s3cr3tpw", &[]),
        ("", &[("NETRC", named)]),
        ("", &[("HTTP_AUTH", "basic:127.0.0.1:bob:s3cr3tpw")]),
        ("", &[("HTTP_AUTH", with_port.as_str())]),
        ("", &[("HTTP_AUTH", "basic:*:bob:s3cr3tpw")]),
        ("", &[("HTTP_AUTH", "basic:packages:bob:s3cr3tpw")]),
    ] {
        fs_err::write(&home, netrc).unwrap();
        let (success, said) = lock(&project, variables);
        assert!(success, "{netrc} {variables:?}: {said}");
        assert!(!said.contains("s3cr3tpw"), "a password is never shown: {said}");
        assert!(!project.read("apk-locks/made-up/web.x86_64.lock").contains("s3cr3tpw"));
    }
}

#[test]
fn are_told_of_to_who_has_no_credentials() {
    let (project, _proxy) = closed();
    for variables in [
        &[][..],
        &[("HTTP_AUTH", "basic:127.0.0.2:bob:s3cr3tpw")],
        &[("HTTP_AUTH", "basic:other packages:bob:s3cr3tpw")],
        &[("HTTP_AUTH", "basic:127.0.0.1:bob:wrong")],
    ] {
        let (success, said) = lock(&project, variables);
        assert!(!success, "{variables:?}");
        for text in
            ["is denied (the server answered 401)", "machine 127.0.0.1", "HTTP_AUTH=basic:127.0.0.1:USER:PASSWORD"]
        {
            assert!(said.contains(text), "{text:?} is not in:\n{said}");
        }
    }
}

#[test]
fn of_an_older_lock_are_neither_shown_nor_built_into_images() {
    let project = project(&packages());
    lock(&project, &[]);
    project.replace(
        "apk-locks/made-up/web.x86_64.lock",
        "url repository",
        "url http://bob:it's12/s3cr3tpw@127.0.0.1:1/x",
    );
    let keys = project.root().join("keys");
    let keys = keys.to_str().unwrap();
    for (arguments, expected) in [
        (&["lock", "--diff", "--keys-dir", keys][..], "@127.0.0.1:1/x"),
        (&["lock", "--check", "--keys-dir", keys], "repositories"),
        (&["build"], "contains a user name or a password"),
        (&["build", "--repository", "main=repository"], "contains a user name or a password"),
    ] {
        let output = project.mailimg(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(
            !output.status.success() && said.contains(expected) && !said.contains("s3cr3tpw"),
            "{arguments:?}: {said}"
        );
    }
}
