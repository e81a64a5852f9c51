//! `mailimg up`, `status` and `down` with a fake engine program. The container tests use the real one.

use std::os::unix::fs::PermissionsExt as _;

use super::build::{packages, project as built_project};
use crate::common::project::Project;
use crate::fake_engine::path;

/// Answers as an engine with compose does, for one service. It keeps its container in `running`, takes its health from
/// `health`, and lists what it was asked in `calls`.
const DOCKER: &str = r#"#!/bin/sh
cd "${0%/*}/.."
echo "$*" >>calls
case "$*" in
version) ;;
"compose version --short") echo 2.26.1 ;;
"image inspect "*) grep -qxs "$3" known ;;
load) tar -xOf - manifest.json | sed 's/.*"RepoTags":\["\([^"]*\)".*/\1/' >>known ;;
"compose --file compose.yaml ps --all --quiet") [ ! -e running ] || cat id ;;
"container inspect "*) cat running ;;
"compose --file compose.yaml up --detach --quiet-pull --remove-orphans")
    if [ -e refusal ]; then cat refusal >&2; exit 1; fi
    [ ! -e vanished ] || exit 0
    image=$(sed -n 's/^ *image: //p' compose.yaml)
    label=$(sed -n 's/.*org.mailimg.configuration: //p' compose.yaml)
    echo "$label" >id
    printf '[{"Id":"%s","Config":{"Image":"%s","Labels":{"com.docker.compose.service":"web",' "$label" "$image" >running
    printf '"com.docker.compose.project.working_dir":"%s","%s":"%s"}},' \
        "$PWD" org.mailimg.configuration "$label" >>running
    printf '"State":{"Status":"running","StartedAt":"2026-01-01T00:00:00.5Z","Health":%s}}]' "$(cat health)" >>running ;;
"compose --file compose.yaml restart web") sed -i s/2026-01-01/2126-01-01/ running ;;
"compose --file compose.yaml down --remove-orphans") rm -f running ;;
*) exit 9 ;;
esac
"#;

const HEALTHY: &str = r#"{"Status":"healthy","Log":[]}"#;

fn project() -> Project {
    let project = built_project(&packages());
    let docker = project.write("bin/docker", DOCKER);
    fs_err::set_permissions(&docker, std::fs::Permissions::from_mode(0o755)).unwrap();
    project.write("health", HEALTHY);
    project
}

fn run(project: &Project, args: &[&str]) -> (i32, String, String) {
    let output = project.mailimg(args).env("PATH", path(project)).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

fn json(project: &Project, args: &[&str]) -> serde_json::Value {
    let (_, out, said) = run(project, args);
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}{said}"))
}

#[test]
fn what_is_to_be_done_is_done_once() {
    let project = project();
    let (code, out, said) = run(&project, &["up"]);
    assert_eq!((code, out.as_str()), (0, ""), "{said}");
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[0].starts_with("built web sha256:"), "{said}");
    assert_eq!(lines[1..3], ["wrote ./compose.yaml", "created the container of web"], "{said}");
    assert!(lines[3].starts_with("the service is healthy, after ") && lines.len() == 4, "{said}");

    let (code, _, said) = run(&project, &["up"]);
    assert!(code == 0 && said.starts_with("nothing changed: the service is healthy"), "{said}");
    let calls = project.read("calls");
    assert_eq!(calls.lines().filter(|call| *call == "load").count(), 1, "{calls}");
    // Each of the two has looked for the engine once.
    assert_eq!(calls.lines().filter(|call| *call == "version").count(), 2, "{calls}");
    assert_eq!(run(&project, &["status"]).0, 0);

    project.write("images/web/rootfs/etc/motd.hbs", "changed\n");
    let up = json(&project, &["up", "--json"]);
    assert_eq!(up["images"][0]["new"], true);
    assert_eq!(up["compose_file_written"], true);
    assert_eq!(up["changes"], serde_json::json!([{ "service": "web", "change": "recreated" }]));
    assert_eq!(up["services"][0]["health"], "healthy");
    assert_eq!(up["next"], serde_json::json!([]));
}

#[test]
fn each_step_that_is_behind_is_told() {
    let project = project();
    let stale = |expected: &[&str]| {
        let (code, out, said) = run(&project, &["status"]);
        assert_eq!(code, i32::from(!expected.is_empty()), "{said}");
        assert!(out.starts_with("SERVICE  CONFIGURED"), "{out}");
        assert!(expected.is_empty() || said.contains("hint: run `mailimg up`"), "{said}");
        let stale = json(&project, &["status", "--json"])["stale"].clone();
        let what: Vec<&str> = stale.as_array().unwrap().iter().map(|it| it["what"].as_str().unwrap()).collect();
        assert_eq!(what, expected, "{said}");
    };
    stale(&["images", "compose_file"]);
    assert_eq!(run(&project, &["up"]).0, 0);
    stale(&[]);
    project.write("images/web/rootfs/etc/motd.hbs", "changed\n");
    stale(&["images"]);
    project.run(["build"]);
    stale(&["compose_file"]);
    project.run(["compose"]);
    stale(&["containers"]);
    assert_eq!(run(&project, &["up"]).0, 0);
    stale(&[]);
    // The same image, run in another way.
    project.replace("recipes/web.toml", "memory = 10", "memory = 11");
    stale(&["compose_file"]);
    assert_eq!(run(&project, &["up"]).0, 0);

    project.replace("mailimg.toml", "images = [\"web\"]", "images = [\"other\"]");
    project.write("recipes/other.toml", project.read("recipes/web.toml"));
    fs_err::copy(
        project.path().join("apk-locks/made-up/web.x86_64.lock"),
        project.path().join("apk-locks/made-up/other.x86_64.lock"),
    )
    .unwrap();
    project.run(["build"]);
    project.run(["compose"]);
    stale(&["containers", "removed"]);
}

#[test]
fn a_service_with_newer_secrets_is_started_again() {
    let project = project();
    project.replace("recipes/web.toml", "memory = 10", "memory = 10\nsecrets = { word = \"password\" }");
    let (code, _, said) = run(&project, &["up"]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("created ./secrets/word\n"), "{said}");
    // The secret is from now, and the container says that it is from the past until it is restarted.
    assert!(project.read("calls").contains("restart web\n"));
    let calls = || project.read("calls").lines().filter(|call| call.ends_with("restart web")).count();
    project.write("running", project.read("running").replace("2126-01-01", "2026-01-01"));
    let (code, _, said) = run(&project, &["status"]);
    assert_eq!(code, 1);
    assert!(said.contains("running without the newest secrets: web"), "{said}");
    assert_eq!(calls(), 1);
}

#[test]
fn the_health_check_says_why_a_service_is_not_healthy() {
    let project = project();
    let check = r#"{"ExitCode":1,"Output":"no virus signatures yet\n"}"#;
    project.write("health", format!(r#"{{"Status":"starting","Log":[{check}]}}"#));
    let (code, _, said) = run(&project, &["up", "--timeout", "1"]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("not all services are healthy\n  web is starting: no virus signatures yet\n"), "{said}");
    assert!(said.contains("created the container of web") && said.contains("hint: "), "{said}");

    run(&project, &["down"]);
    project.write("health", format!(r#"{{"Status":"unhealthy","Log":[{check}]}}"#));
    let (code, _, said) = run(&project, &["up", "--timeout", "1"]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("warning: web is unhealthy: no virus signatures yet\n"), "{said}");
    let (code, out, said) = run(&project, &["status"]);
    assert!(code == 1 && out.contains("  unhealthy: no virus signatures yet\n"), "{out}{said}");
}

#[test]
fn a_service_that_others_wait_for_says_itself_why_they_do_not_start() {
    let project = project();
    run(&project, &["up"]);
    let check = r#"{"ExitCode":1,"Output":"the disk is full\n"}"#;
    let unhealthy = format!(r#"{{"Status":"unhealthy","Log":[{check}]}}"#);
    project.write("running", project.read("running").replace(HEALTHY, &unhealthy));
    project.write("refusal", "dependency failed to start: container web-1 is unhealthy\n");
    let (code, _, said) = run(&project, &["up"]);
    assert!(
        code == 1 && said.contains("not all services are healthy\n  web is unhealthy: the disk is full\n"),
        "{said}"
    );
    project.write("refusal", "Error: port is already allocated\n");
    let (code, _, said) = run(&project, &["up"]);
    assert!(code == 6 && said.contains("port is already allocated"), "{said}");
}

#[test]
fn down_removes_the_containers() {
    let project = project();
    run(&project, &["up"]);
    let (code, _, said) = run(&project, &["down"]);
    assert_eq!((code, said.as_str()), (0, "stopped and removed 1 container; its volumes stay\n"));
    let (code, _, said) = run(&project, &["down"]);
    assert_eq!((code, said.as_str()), (0, "nothing to do: no container of this site is there\n"));
    assert!(!project.read("calls").contains("--volumes"));
}

#[test]
fn what_keeps_a_site_down_is_told() {
    let project = project();
    let (code, _, said) = run(&project, &["down"]);
    assert!(code == 4 && said.contains("there is no compose file ./compose.yaml"), "{said}");
    project.write("refusal", "Error: Bind for 0.0.0.0:25 failed: port is already allocated\n");
    let (code, _, said) = run(&project, &["up"]);
    assert_eq!(code, 6, "{said}");
    assert!(said.contains("`docker compose up` failed: Error: Bind for 0.0.0.0:25 failed"), "{said}");
    assert!(said.contains("publish.ports in mailimg.toml"), "{said}");
    project.write("compose.yaml", "services: []\n");
    let (code, _, said) = run(&project, &["status"]);
    assert!(code == 2 && said.contains("./compose.yaml is not a compose file of mailimg"), "{said}");
    project.write("running", "{}");
    fs_err::remove_file(project.path().join("compose.yaml")).unwrap();
    project.write("id", "1");
    let (code, _, said) = run(&project, &["up"]);
    assert!(code == 3 && said.contains("can't understand how docker describes containers"), "{said}");
}

#[test]
fn a_site_of_the_same_name_elsewhere_is_left_alone() {
    let project = project();
    let other = project.root().join("other");
    fs_err::create_dir(&other).unwrap();
    run(&project, &["up"]);
    let here = project.path().canonicalize().unwrap();
    let running = project.read("running").replace(here.to_str().unwrap(), other.to_str().unwrap());
    assert!(running.contains(other.to_str().unwrap()), "{running}");
    project.write("running", &running);
    // Nothing is left there: the site has been moved.
    let (code, _, said) = run(&project, &["status"]);
    assert!(code == 1 && said.contains("not running as compose.yaml says: web"), "{said}");
    fs_err::write(other.join("compose.yaml"), "").unwrap();
    for command in ["up", "status", "down"] {
        let (code, _, said) = run(&project, &[command]);
        assert_eq!(code, 2, "{said}");
        assert!(said.contains(&format!("a site of the same name runs from {}", other.display())), "{said}");
        assert!(said.contains("give it another `name` in mailimg.toml"), "{said}");
    }
    assert_eq!(project.read("running"), running);
}

#[test]
fn the_log_says_what_is_run() {
    let project = project();
    let (_, _, said) = run(&project, &["up", "-v"]);
    assert!(said.contains("running docker compose up --detach"), "{said}");
}

#[test]
fn without_an_engine_nothing_is_built() {
    let project = built_project(&packages());
    let (code, _, said) = run(&project, &["up", "--engine", "/nonexistent/engine"]);
    assert!(code == 4 && said.contains("no container engine answers"), "{said}");
    assert!(!project.path().join("oci").exists());
}

#[test]
fn containers_that_vanish_are_not_healthy() {
    let project = project();
    project.write("vanished", "");
    let (code, _, said) = run(&project, &["up", "--timeout", "1"]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("none of the containers that were started is left"), "{said}");
}
