//! Users and aliases with a fake engine program, which records its calls. The container tests use the real one.

use std::os::unix::fs::PermissionsExt as _;

use assert_cmd::Command;

use crate::common::project::Project;

/// A project with a compose file, and a `docker` that records its arguments and input, and gives a fixed answer.
fn project(answer: &str, said: &str, code: u8) -> Project {
    let project = Project::new();
    project.run(["init", "example.org"]);
    project.write("compose.yaml", "services: {}\n");
    project.write("answer", answer);
    project.write("said", said);
    let script = format!(
        "#!/bin/sh\ncd \"${{0%/*}}/..\"\ncase \"$1 $2\" in 'version '|'compose version') exit 0;; esac\nprintf '%s\\n' \"$@\" >arguments\ncat >input\n\
         cat answer\ncat said >&2\nexit {code}\n"
    );
    let docker = project.write("bin/docker", script);
    fs_err::set_permissions(&docker, std::fs::Permissions::from_mode(0o755)).unwrap();
    project
}

fn mailimg(project: &Project, args: &[&str]) -> Command {
    let mut command = project.mailimg(args);
    command.env("PATH", format!("{}/bin:/usr/bin:/bin", project.path().display()));
    command
}

fn run(project: &Project, args: &[&str], input: &str) -> (Option<i32>, String, String) {
    let output = mailimg(project, args).write_stdin(input).output().unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
}

/// The statement that reached the database's client, with hexadecimal texts decoded.
fn statement(project: &Project) -> String {
    let input = project.read("input");
    let mut parts = input.split("_utf8mb4 X'");
    let mut readable = parts.next().unwrap().to_owned();
    for part in parts {
        let (digits, rest) = part.split_once('\'').unwrap();
        let text = String::from_utf8(hex::decode(digits).unwrap()).unwrap();
        readable.extend(["<", &text, ">", rest]);
    }
    readable
}

#[test]
fn a_user_is_added_with_a_bcrypt_hash() {
    let project = project("1\n", "", 0);
    let (code, out, said) =
        run(&project, &["user", "add", "Alice@example.org", "--quota", "2G", "--password-stdin"], "correct horse\n");
    assert_eq!(code, Some(0), "{said}");
    assert_eq!((out.as_str(), said.trim()), ("", "added alice@example.org"));
    let statement = statement(&project);
    assert!(statement.contains("SELECT id, <alice@example.org>, <{BLF-CRYPT}$2y$10$"), "{statement}");
    assert!(statement.contains(">, 2147483648 FROM virtual_domains WHERE name = <example.org>;"), "{statement}");
    let hash = statement.split_once("<{BLF-CRYPT}").unwrap().1.split_once('>').unwrap().0;
    assert!(bcrypt::verify("correct horse", hash).unwrap());
    let arguments = project.read("arguments");
    assert!(arguments.starts_with("compose\n--file\ncompose.yaml\nexec\n-T\nmysql\nmariadb\n"), "{arguments}");
    for secret in ["correct horse", "BLF-CRYPT", &hex::encode("{BLF-CRYPT}")] {
        assert!(!arguments.contains(secret), "{arguments}");
    }
}

#[test]
fn what_the_database_answers_is_told() {
    let added = ["user", "add", "alice@example.org", "--password-stdin"];
    for (answer, said, code, args, exit, told) in [
        ("0\n", "", 0, &added[..], 2, "example.org is not one of this server's domains"),
        ("", "ERROR 1062 (23000) at line 1: Duplicate entry", 1, &added[..], 2, "alice@example.org already exists"),
        ("", "service \"mysql\" is not running", 1, &added[..], 4, "the service mysql is not running"),
        ("", "ERROR 2002 (HY000): Can't connect", 1, &added[..], 4, "ERROR 2002 (HY000): Can't connect"),
        ("huh\n", "", 0, &added[..], 3, "unexpected answer from the database: \"huh\""),
        (
            "0\n",
            "",
            0,
            &["user", "passwd", "bob@example.org", "--password-stdin"],
            2,
            "there is no user bob@example.org",
        ),
        ("0\n", "", 0, &["user", "del", "bob@example.org"], 2, "there is no user bob@example.org"),
        ("0\n", "", 0, &["alias", "add", "@example.com", "a@b.example"], 2, "example.com is not one of this"),
        ("0\n", "", 0, &["alias", "del", "info@example.org"], 2, "there is no alias info@example.org"),
    ] {
        let project = project(answer, said, code);
        let (code, out, said) = run(&project, args, "correct horse\n");
        assert_eq!(code, Some(exit), "{args:?}: {said}");
        assert!(said.contains(told) && out.is_empty(), "{args:?}: {said}");
    }
}

#[test]
fn users_and_aliases_are_listed() {
    let rows = "[\"a@example.org\", null, 1]\n[\"b@example.org\", 0, 1]\n[\"c@example.org\", 1048576, 0]\n";
    let with_users = project(rows, "", 0);
    let (_, out, _) = run(&with_users, &["user", "list"], "");
    assert_eq!(out, "a@example.org\tdefault\nb@example.org\tunlimited\nc@example.org\t1M\tinactive\n");
    let (_, out, _) = run(&with_users, &["user", "list", "--json"], "");
    let users: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(users[2], serde_json::json!({ "address": "c@example.org", "quota": 1_048_576, "active": false }));

    let with_aliases = project("{\"source\": \"@example.org\", \"destination\": \"a+b@example.org\"}\n", "", 0);
    let (_, out, _) = run(&with_aliases, &["alias", "list"], "");
    assert_eq!(out, "@example.org\ta+b@example.org\n");
    let (_, out, _) = run(&with_aliases, &["alias", "list", "--json"], "");
    assert!(out.contains("\"source\": \"@example.org\""), "{out}");
}

#[test]
fn the_recipes_say_which_service_holds_the_accounts() {
    let project = project("", "", 0);
    fs_err::rename(project.path().join("recipes/mysql.toml"), project.path().join("recipes/db.toml")).unwrap();
    for file in ["mailimg.toml", "recipes/dovecot.toml", "recipes/postfix.toml"] {
        project.replace(file, "\"mysql\"", "\"db\"");
    }
    let (code, _, said) = run(&project, &["user", "list"], "");
    assert_eq!(code, Some(0), "{said}");
    assert!(project.read("arguments").contains("exec\n-T\ndb\nmariadb\n"));
    project.replace("recipes/db.toml", "role = \"accounts\"\n", "");
    let (code, _, said) = run(&project, &["user", "list"], "");
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("none of the site's images has `service.role = \"accounts\"`"), "{said}");
}

#[test]
fn purging_removes_one_mailbox() {
    let project = project("1\n", "", 0);
    // The fake program gives every call the same answer, so querying aliases fails after the deletion.
    let (code, _, said) = run(&project, &["user", "del", "a.b@example.org"], "");
    assert_eq!(code, Some(3), "{said}");
    assert!(statement(&project).contains("WHERE destination = <a.b@example.org>"));
}

#[test]
fn hostile_addresses_reach_nothing() {
    for address in [
        "a'b@example.org",
        "a\"@example.org",
        "a@example.org;drop",
        "../x@example.org",
        "a%@example.org",
        "å@b.example",
    ] {
        let project = project("1\n", "", 0);
        let (code, _, said) = run(&project, &["user", "add", address, "--password-stdin"], "correct horse\n");
        assert_eq!(code, Some(2), "{address}: {said}");
        assert!(!project.path().join("input").exists(), "{address}");
    }
}

#[test]
fn bad_passwords_are_refused() {
    let project = project("1\n", "", 0);
    for (password, told) in [("short\n", "but must have 8 to 72"), (&"x".repeat(73), "73 bytes"), ("", "0 bytes")] {
        let (code, _, said) = run(&project, &["user", "add", "a@example.org", "--password-stdin"], password);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(told), "{said}");
    }
    let (code, _, said) = run(&project, &["user", "add", "a@example.org"], "correct horse\n");
    assert_eq!(code, Some(2));
    assert!(said.contains("--password-stdin"), "{said}");
    assert!(!project.path().join("input").exists());
}

#[test]
fn what_is_needed_is_named() {
    let project = Project::new();
    let (code, _, said) = run(&project, &["user", "list"], "");
    assert_eq!(code, Some(4));
    assert!(said.contains("there is no compose file ./compose.yaml") && said.contains("mailimg up"), "{said}");

    project.run(["init", "example.org"]);
    project.write("compose.yaml", "services: {}\n");
    let output = project.mailimg(["user", "list"]).env("PATH", "/nowhere").output().unwrap();
    assert_eq!(output.status.code(), Some(4));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no container engine answers (docker: "));

    let engine = project.write("bin/podman", "#!/bin/sh\n[ \"$1\" = version ]\n");
    fs_err::set_permissions(&engine, std::fs::Permissions::from_mode(0o755)).unwrap();
    let bin = engine.parent().unwrap();
    let compose = project.write("bin/docker-compose", "#!/bin/sh\necho 1.29.2\n");
    fs_err::set_permissions(&compose, std::fs::Permissions::from_mode(0o755)).unwrap();
    let output = project.mailimg(["user", "list"]).env("PATH", bin).output().unwrap();
    assert_eq!(output.status.code(), Some(4));
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("can't run `podman compose` or a docker-compose of version 2")
    );
}
