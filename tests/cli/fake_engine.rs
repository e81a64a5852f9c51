//! An engine program that records what it is asked, and answers each kind of question from a file.

use std::os::unix::fs::PermissionsExt as _;

use crate::common::project::Project;

/// What a question is about decides which file answers it: `answers/<kind>`, or `answers/<kind>.error` for a failure.
const SCRIPT: &str = r#"#!/bin/sh
cd "${0%/*}/.."
case "$1 $2" in 'version '|'compose version') exit 0;; esac
input=$(cat)
{ printf '%s ' "$@"; printf '\n'; [ -z "$input" ] || printf '%s\n' "$input"; } >>calls
case "$* $input" in
*' doveadm -f tab quota get '*) kind=usage;;
*' doveadm kick '*) kind=kick;;
*' doveadm -f tab mailbox status '*) kind=folders;;
*' doveadm mailbox list '*) kind=folder-names;;
*' doveadm search '*) kind=old;;
*' doveadm expunge '* | *' doveadm force-resync '* | *' doveadm quota recalc '*) kind=mailbox;;
*' rm -rf '*) kind=rm;;
*' sh -c '*) kind=old-mail;;
*' logs '*' --tail 1 '*) kind=newest;;
*' logs '*) kind=logs;;
*' ps --all --quiet '*) kind=containers;;
'container inspect '*) kind=inspected;;
'cp '*) kind=kept-${2%%:*};;
*' postqueue -j'*) kind=queue;;
*' postqueue '* | *' postsuper '*) kind=postfix;;
*'ROW_COUNT()'*) kind=change;;
*"JSON_OBJECT('user'"*) kind=routes;;
*"JSON_OBJECT('source'"*) kind=aliases;;
*'JSON_ARRAY(email'*) kind=users;;
*'JSON_ARRAY(name'*) kind=domains;;
*'SELECT 1 FROM virtual_users'*) kind=user;;
*) kind=unknown;;
esac
[ ! -e "answers/$kind.error" ] || { cat "answers/$kind.error" >&2; exit 1; }
cat "answers/$kind"
# `logs --follow` ends only when it is killed.
while [ -e "answers/$kind.repeats" ]; do sleep 0.05; cat "answers/$kind"; done
"#;

/// A project with a compose file, on an engine that has the site's postmaster and one row to change.
pub(crate) fn project() -> Project {
    let project = Project::new();
    project.run(["init", "example.org"]);
    project.write("compose.yaml", "services: {}\n");
    let docker = project.write("bin/docker", SCRIPT);
    fs_err::set_permissions(&docker, std::fs::Permissions::from_mode(0o755)).unwrap();
    for kind in [
        "usage", "kick", "rm", "newest", "old", "mailbox", "old-mail", "queue", "postfix", "aliases", "users",
        "domains", "user",
    ] {
        project.write(format!("answers/{kind}"), "");
    }
    project.write("answers/change", "1\n");
    project.write("answers/routes", routes("{\"user\": [\"admin@example.org\", 1]}\n"));
    project
}

/// The site's domain, users and aliases, as the database's client prints them.
pub(crate) fn routes(rows: &str) -> String {
    format!("{{\"domain\": \"example.org\"}}\n{rows}")
}

/// The `PATH` with which a project's own engine program is found.
pub(crate) fn path(project: &Project) -> String {
    format!("{}/bin:/usr/bin:/bin", project.path().display())
}

/// Runs `mailimg` with that engine: its exit code and both outputs.
pub(crate) fn run(project: &Project, args: &[&str], input: &str) -> (Option<i32>, String, String) {
    let mut command = project.mailimg(args);
    command.env("PATH", path(project));
    let output = command.write_stdin(input).output().unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
}

/// Like [`run`], for what must succeed: both outputs.
pub(crate) fn succeed(project: &Project, args: &[&str], input: &str) -> (String, String) {
    let (code, out, said) = run(project, args, input);
    assert_eq!(code, Some(0), "{args:?}: {said}");
    (out, said)
}

/// The arguments and the input of all calls, with hexadecimal texts decoded: `<alice@example.org>`.
pub(crate) fn calls(project: &Project) -> String {
    let calls = fs_err::read_to_string(project.path().join("calls")).unwrap_or_default();
    let mut parts = calls.split("_utf8mb4 X'");
    let mut readable = parts.next().unwrap().to_owned();
    for part in parts {
        let (digits, rest) = part.split_once('\'').unwrap();
        let text = String::from_utf8(hex::decode(digits).unwrap()).unwrap();
        readable.extend(["<", &text, ">", rest]);
    }
    readable
}
