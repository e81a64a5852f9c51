//! Users and aliases with a fake engine program. The container tests use the real one.

use std::os::unix::fs::PermissionsExt as _;

use crate::common::project::Project;
use crate::fake_engine::{calls, path, project, routes, run, succeed};

#[test]
fn a_user_is_added_with_a_bcrypt_hash() {
    let project = project();
    let arguments = ["user", "add", "Alice@example.org", "--quota", "2G", "--password-stdin"];
    let (out, said) = succeed(&project, &arguments, "correct horse\n");
    assert_eq!((out.as_str(), said.trim()), ("", "added alice@example.org"));
    let calls = calls(&project);
    assert!(calls.contains("SELECT id, <alice@example.org>, <{BLF-CRYPT}$2y$10$"), "{calls}");
    assert!(calls.contains(">, 2147483648 FROM virtual_domains WHERE name = <example.org> AND active = 1;"), "{calls}");
    let hash = calls.split_once("<{BLF-CRYPT}").unwrap().1.split_once('>').unwrap().0;
    assert!(bcrypt::verify("correct horse", hash).unwrap());
    let programs: Vec<&str> = calls.lines().filter(|line| line.starts_with("compose ")).collect();
    assert!(programs[0].starts_with("compose --file compose.yaml exec -T mysql mariadb "), "{programs:?}");
    for secret in ["correct horse", "BLF-CRYPT", &hex::encode("{BLF-CRYPT}")] {
        assert!(!programs.iter().any(|program| program.contains(secret)), "{programs:?}");
    }
}

#[test]
fn a_password_comes_from_a_file_or_a_descriptor() {
    let project = project();
    let password = project.write("password", "correct horse\nbattery\n");
    let hash = |calls: &str| calls.rsplit_once("<{BLF-CRYPT}").unwrap().1.split_once('>').unwrap().0.to_owned();
    succeed(&project, &["user", "passwd", "a@example.org", "--password-file", password.to_str().unwrap()], "");
    assert!(bcrypt::verify("correct horse", &hash(&calls(&project))).unwrap());
    assert!(calls(&project).contains(" doveadm kick a@example.org"), "{}", calls(&project));

    let script = format!(
        "exec '{}' user passwd a@example.org --password-file /dev/fd/3 3<<END\nthe other one\nEND\n",
        env!("CARGO_BIN_EXE_mailimg")
    );
    let mut shell = std::process::Command::new("sh");
    let output = shell.args(["-c", &script]).env("PATH", path(&project)).current_dir(project.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(bcrypt::verify("the other one", &hash(&calls(&project))).unwrap());

    let (code, _, said) = run(&project, &["user", "passwd", "a@example.org", "--password-file", "missing"], "");
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("can't read missing: No such file"), "{said}");
}

#[test]
fn what_the_database_answers_is_told() {
    let added = ["user", "add", "alice@example.org", "--password-stdin"];
    for (kind, answer, args, exit, told) in [
        ("change", "0\n", &added[..], 2, "example.org is not one of this server's domains"),
        ("user", "1\n", &added[..], 1, "the user alice@example.org already exists; nothing was changed"),
        ("change.error", "ERROR 1062 (23000) at line 1: Duplicate", &added[..], 1, "already exists"),
        ("user.error", "service \"mysql\" is not running", &added[..], 4, "the service mysql is not running"),
        ("user.error", "ERROR 2002 (HY000): Can't connect", &added[..], 4, "ERROR 2002 (HY000): Can't connect"),
        ("change.error", "ERROR 1054 (42S22): Unknown column 'active'", &added[..], 4, "database is older than this"),
        ("change", "huh\n", &added[..], 3, "unexpected answer from the accounts service: \"huh\""),
        ("usage", "x\nhuh\n", &["user", "list", "--usage"], 3, "unexpected answer from the mailboxes service: \"huh\""),
        ("change", "0\n", &["user", "passwd", "bob@example.org", "--password-stdin"], 2, "no user bob@example.org"),
        ("user", "", &["user", "set", "bob@example.org", "--active"], 2, "there is no user bob@example.org"),
        ("change", "0\n", &["alias", "add", "@example.com", "a@b.example"], 2, "example.com is not one of this"),
    ] {
        let project = project();
        project.write(format!("answers/{kind}"), answer);
        let (code, out, said) = run(&project, args, "correct horse\n");
        assert_eq!(code, Some(exit), "{args:?}: {said}");
        assert!(said.contains(told) && out.is_empty(), "{args:?}: {said}");
    }
}

#[test]
fn users_and_aliases_are_listed() {
    let project = project();
    let rows = "[\"a@example.org\", null, 1, 1]\n[\"b@example.org\", 0, 1, 0]\n[\"c@example.org\", 1048576, 0, 1]\n";
    project.write("answers/users", rows);
    let (out, _) = succeed(&project, &["user", "list"], "");
    assert_eq!(out, "a@example.org\tdefault\nb@example.org\tunlimited\tresting\nc@example.org\t1M\tinactive\n");
    let (out, _) = succeed(&project, &["user", "list", "--json"], "");
    let users: serde_json::Value = serde_json::from_str(&out).unwrap();
    let inactive =
        serde_json::json!({ "address": "c@example.org", "quota": 1_048_576, "active": false, "resting": false });
    assert_eq!(users[2], inactive);
    assert!(!calls(&project).contains("doveadm"));

    project.write(
        "answers/usage",
        "header\na@example.org\tuser\tSTORAGE\t2\t9\t0\na@example.org\tuser\tMESSAGE\t1\t-\t0\n",
    );
    let (out, _) = succeed(&project, &["user", "list", "--usage"], "");
    assert!(out.starts_with("a@example.org\tdefault\t2048\t1\nb@example.org\tunlimited\t-\t-\tresting\n"), "{out}");
    let (out, _) = succeed(&project, &["user", "list", "--usage", "--json"], "");
    let users: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&users[0]["used"], &users[0]["messages"]), (&2048.into(), &1.into()));
    assert_eq!(users[1].get("used"), None);

    project.write("answers/aliases", "{\"source\": \"@example.org\", \"destination\": \"a+b@example.org\"}\n");
    let (out, _) = succeed(&project, &["alias", "list"], "");
    assert_eq!(out, "@example.org\ta+b@example.org\n");
    let (out, _) = succeed(&project, &["alias", "list", "--json"], "");
    assert!(out.contains("\"source\": \"@example.org\""), "{out}");
}

#[test]
fn the_recipes_say_which_service_holds_the_accounts() {
    let project = project();
    fs_err::rename(project.path().join("recipes/mysql.toml"), project.path().join("recipes/db.toml")).unwrap();
    for file in ["mailimg.toml", "recipes/dovecot.toml", "recipes/postfix.toml"] {
        project.replace(file, "\"mysql\"", "\"db\"");
    }
    succeed(&project, &["user", "list"], "");
    assert!(calls(&project).contains("exec -T db mariadb "), "{}", calls(&project));
    project.replace("recipes/db.toml", "role = \"accounts\"\n", "");
    let (code, _, said) = run(&project, &["user", "list"], "");
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("none of the site's images has `service.role = \"accounts\"`"), "{said}");
}

#[test]
fn users_are_changed() {
    let project = project();
    project.write("answers/user", "1\n");
    let (_, said) = succeed(&project, &["user", "set", "a@example.org", "--quota", "unlimited", "--inactive"], "");
    assert_eq!(said, "the quota of a@example.org is now unlimited\na@example.org is now inactive\n");
    let calls = calls(&project);
    assert!(
        calls.contains("UPDATE virtual_users SET quota_bytes = 0, active = 0 WHERE email = <a@example.org>;"),
        "{calls}"
    );
    assert!(calls.contains(" doveadm kick a@example.org"), "{calls}");
    for args in [&["user", "set", "a@example.org"][..], &["user", "set", "a@example.org", "--active", "--inactive"]] {
        let (code, _, said) = run(&project, args, "");
        assert_eq!(code, Some(2), "{said}");
    }
}

#[test]
fn deleting_keeps_the_mail_and_tells_of_aliases() {
    let project = project();
    project.write("answers/aliases", "{\"source\": \"x@example.org\", \"destination\": \"a.b@example.org\"}\n");
    let (_, said) = succeed(&project, &["user", "del", "a.b@example.org"], "");
    assert!(said.contains("deleted a.b@example.org and kept the mail"), "{said}");
    assert!(said.contains("warning: the alias x@example.org still points to a.b@example.org"), "{said}");
    assert!(calls(&project).contains("WHERE destination = <a.b@example.org>"));
    assert!(!calls(&project).contains(" rm "));

    project.write("answers/change", "0\n");
    let (_, said) = succeed(&project, &["user", "del", "a.b@example.org"], "");
    assert!(said.contains("there is no user a.b@example.org: nothing to do"), "{said}");
    let (_, said) = succeed(&project, &["alias", "del", "info@example.org"], "");
    assert_eq!(said, "there is no alias info@example.org\n");
}

#[test]
fn mail_is_purged_only_with_consent() {
    let project = project();
    let (code, _, said) = run(&project, &["user", "del", "a.b@example.org", "--purge"], "y\n");
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("no terminal to ask") && said.contains("--yes"), "{said}");
    assert_eq!(calls(&project), "");

    let (_, said) = succeed(&project, &["user", "del", "a.b@example.org", "--purge", "--yes"], "");
    assert_eq!(said, "deleted a.b@example.org and all mail\n");
    let purge = "exec -T --user vmail dovecot rm -rf -- /srv/mail/example.org/a.b \n";
    assert!(calls(&project).contains(purge), "{}", calls(&project));

    // On a terminal, it asks.
    let on_terminal = |answer: &str| {
        let run = format!("'{}' user del c@example.org --purge", env!("CARGO_BIN_EXE_mailimg"));
        let script = format!("printf '{answer}\\n' | script -qec \"{run}\" /dev/null");
        let output = std::process::Command::new("sh")
            .args(["-c", &script])
            .env("PATH", path(&project))
            .current_dir(project.path())
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (code, said) = on_terminal("n");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("Delete all mail of c@example.org? [y/N]"), "{said}");
    assert!(!calls(&project).contains("c@example.org"));
    let (code, said) = on_terminal("y");
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("deleted c@example.org and all mail"), "{said}");
}

#[test]
fn a_new_user_is_told_what_to_know() {
    let project = project();
    project.write("answers/old-mail", "/srv/mail/example.org/a/Maildir/cur/1\n");
    let rows = "{\"user\": [\"a@example.org\", 1]}\n{\"alias\": [\"a@example.org\", \"x@y.example\"]}\n";
    project.write("answers/routes", routes(rows));
    let args = ["user", "add", "a@example.org", "--password-stdin"];
    let (_, said) = succeed(&project, &args, "correct horse\n");
    for told in [
        "added a@example.org",
        "warning: a@example.org takes over the mailbox of an earlier user of that name",
        "warning: mail to a@example.org goes to x@y.example instead, because there is an alias of the same name",
        "warning: nobody receives mail for admin@example.org, so mail to postmaster@ and abuse@ is refused",
    ] {
        assert!(said.contains(told), "{told}: {said}");
    }
    project.write("answers/old-mail.error", "service \"dovecot\" is not running");
    let (_, said) = succeed(&project, &args, "correct horse\n");
    assert!(said.contains("can't tell whether an earlier a@example.org left mail"), "{said}");
}

#[test]
fn an_alias_that_leads_nowhere_is_refused_or_told() {
    let project = project();
    let rows = "{\"user\": [\"admin@example.org\", 1]}\n{\"alias\": [\"b@example.org\", \"a@example.org\"]}\n";
    project.write("answers/routes", routes(rows));
    let (code, _, said) = run(&project, &["alias", "add", "a@example.org", "admin@example.org", "b@example.org"], "");
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("mail would go in circles: a@example.org → b@example.org → a@example.org"), "{said}");
    assert!(!calls(&project).contains("INSERT"));

    let (_, said) =
        succeed(&project, &["alias", "add", "info@example.org", "typo@example.org", "o'b+x+y=z@x.example"], "");
    assert!(said.contains("info@example.org is now forwarded to o'b+x+y=z@x.example"), "{said}");
    assert!(said.contains("warning: nobody receives mail for typo@example.org"), "{said}");
    assert_eq!(said.matches("warning:").count(), 1, "{said}");

    let (_, said) = succeed(&project, &["alias", "add", "admin@example.org", "x@y.example"], "");
    assert!(said.contains("warning: the user admin@example.org no longer gets this mail"), "{said}");
    let (_, said) = succeed(&project, &["alias", "add", "admin@example.org", "x@y.example", "admin@example.org"], "");
    assert!(!said.contains("warning:"), "{said}");
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
        let project = project();
        let (code, _, said) = run(&project, &["user", "add", address, "--password-stdin"], "correct horse\n");
        assert_eq!(code, Some(2), "{address}: {said}");
        assert_eq!(calls(&project), "", "{address}");
    }
}

#[test]
fn bad_passwords_are_refused() {
    let project = project();
    for (password, told) in [("short\n", "but must have 8 to 72"), (&"x".repeat(73), "73 bytes"), ("", "0 bytes")] {
        let (code, _, said) = run(&project, &["user", "add", "a@example.org", "--password-stdin"], password);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(told), "{said}");
    }
    let (code, _, said) = run(&project, &["user", "add", "a@example.org"], "correct horse\n");
    assert_eq!(code, Some(2));
    assert!(said.contains("--password-stdin"), "{said}");
    assert!(!calls(&project).contains("INSERT"));
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
