//! `kill -9`, at any moment.

use std::os::unix::process::ExitStatusExt as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use mailimg::digest::Sha256;

use super::{ARCHIVE, BUILD, COMPOSE, Case, Files, IMPORT, INIT, LOCK, MAN, ROTATE, SECRETS, locked};
use crate::build::digests;
use crate::common::count;
use crate::common::project::Project;
use crate::common::registry::Registry;
use crate::push::pull;

/// Runs a command and kills it after `time`. Returns whether it was still running.
fn kill(args: &[&str], project: &Project, time: Duration) -> bool {
    let mut command = project.command(args);
    let mut running = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(time);
    running.kill().unwrap();
    running.wait().unwrap().signal().is_some()
}

/// Checks that each file is as it was or as it will be, and that the last one is not there before the others.
fn has_no_half_files(case: &Case, project: &Project, before: &Files, after: &Files) {
    let found = case.files(project);
    for (path, file) in found.iter().filter(|(path, _)| after.contains_key(*path)) {
        // What marks a layout, and is locked, is filled while it is locked.
        let is_whole = before.get(path) == Some(file) || after.get(path) == Some(file) || path == "oci/oci-layout";
        assert!(is_whole, "{}: {path} is {file}", case.name());
    }
    if case.last.is_some_and(|last| found.contains_key(last)) {
        let missing: Vec<_> = after.keys().filter(|path| !found.contains_key(*path)).collect();
        assert!(missing.is_empty(), "{}: {missing:?}", case.name());
    }
}

/// At each moment, the command is killed twice, because the second run continues what the first one began.
fn survives_kills(case: &Case) {
    let (template, after) = case.undisturbed();
    let before = case.files(&template);
    let project = template.duplicate();
    let began = Instant::now();
    project.run(case.args);
    let time = began.elapsed();
    let mut random = fastrand::Rng::with_seed(1);
    let mut killed = 0;
    for moment in 0..count(6, 60) {
        let project = template.duplicate();
        for _ in 0..2 {
            killed += usize::from(kill(case.args, &project, time.mul_f64(random.f64())));
            has_no_half_files(case, &project, &before, &after);
        }
        case.completes(&project, &after, &format!("after being killed at moment {moment}"));
    }
    assert!(killed > 0, "{}: always over before it could be killed", case.name());
}

#[test]
fn init_survives_kills() {
    survives_kills(&INIT);
}

#[test]
fn lock_survives_kills() {
    survives_kills(&LOCK);
}

#[test]
fn build_survives_kills() {
    survives_kills(&BUILD);
    survives_kills(&ARCHIVE);
}

#[test]
fn compose_survives_kills() {
    survives_kills(&COMPOSE);
}

#[test]
fn secrets_survive_kills() {
    survives_kills(&SECRETS);
    survives_kills(&ROTATE);
}

#[test]
fn import_survives_kills() {
    survives_kills(&IMPORT);
}

#[test]
fn man_survives_kills() {
    survives_kills(&MAN);
}

#[test]
fn push_survives_kills() {
    let registry = Registry::start();
    let project = locked();
    let digest = digests(&project.run(["build", "--json"])).remove(0);
    let began = Instant::now();
    project.run(["push", "--to", &registry.name("whole")]);
    let time = began.elapsed();
    let mut random = fastrand::Rng::with_seed(2);
    let mut killed = 0;
    for moment in 0..count(6, 60) {
        let path = format!("moment-{moment}");
        let to = registry.name(&path);
        killed += usize::from(kill(&["push", "--to", &to], &project, time.mul_f64(random.f64())));
        assert_eq!(project.run(["push", "--to", &to]), format!("{to}/web@{digest}\n"));
        let manifest = pull(&registry, &format!("{path}/web/manifests/{digest}"), None);
        assert_eq!(Sha256::of(&manifest).to_oci(), digest);
        let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
        for blob in manifest["layers"].as_array().unwrap().iter().chain([&manifest["config"]]) {
            let name = blob["digest"].as_str().unwrap();
            assert_eq!(Sha256::of(pull(&registry, &format!("{path}/web/blobs/{name}"), None)).to_oci(), name);
        }
    }
    assert!(killed > 0, "always over before it could be killed");
}
