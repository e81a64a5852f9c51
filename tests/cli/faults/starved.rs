//! A full disk, few files, few threads, little memory, a wrong clock.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Output};

use super::{ALL, ARCHIVE, Case, Files, IMPORT, SECRETS, error, locked, pages};
use crate::common::count;
use crate::common::project::Project;
use crate::common::registry::Registry;
use crate::disk::SmallDisk;

const PLENTY: &str = "256m";

/// A copy of a project in which one directory is a disk of its own.
fn with_disk(template: &Project, directory: &str) -> (Project, SmallDisk) {
    let project = template.duplicate();
    let place = project.root().join(directory);
    let aside = project.root().join("aside");
    fs_err::create_dir_all(&place).unwrap();
    fs_err::rename(&place, &aside).unwrap();
    let disk = SmallDisk::mount(place, PLENTY);
    let copied = Command::new("cp").arg("-a").arg(aside.join(".")).arg(&disk.path).status().unwrap();
    assert!(copied.success());
    fs_err::remove_dir_all(aside).unwrap();
    (project, disk)
}

/// Whether a text names a file below a directory. Relative paths begin in the project.
fn names_file_in(said: &str, directory: &Path, project: &Project) -> bool {
    let words = said.split_whitespace().map(|word| word.trim_matches(|it: char| ":,;()\"".contains(it)));
    words.filter(|word| word.contains('/')).any(|word| project.path().join(word).starts_with(directory))
}

/// Runs the command where one of its directories has space for a part of what it writes there.
fn survives_full_disk(case: &Case, directory: &str, (template, expected): (&Project, &Files)) {
    let (project, disk) = with_disk(template, directory);
    let before = pages(&disk.path);
    project.run(case.args);
    let needed = pages(&disk.path) - before;
    drop(disk);
    drop(project);
    let steps = count(1, 20) as u64;
    for step in 0..steps {
        // Whole pages, and less than it takes: half of it, or several parts.
        let size = ((before + needed * (2 * step + 1) / (2 * steps)) & !4095).max(4096);
        let when = format!("with {size} bytes for {directory}");
        let (project, disk) = with_disk(template, directory);
        disk.grow(&size.to_string());
        let output = project.mailimg(case.args).output().unwrap();
        let said =
            error(&case.name(), &output, &when).unwrap_or_else(|| panic!("{} {when}: did it need more?", case.name()));
        assert!(said.contains("No space left on device"), "{} {when}: {said}", case.name());
        assert!(names_file_in(&said, &disk.path, &project), "{} {when}: no file is named: {said}", case.name());
        disk.grow(PLENTY);
        case.completes(&project, expected, &when);
    }
}

#[test]
fn as_root_full_disks_are_told_and_nothing_is_wrong_afterwards() {
    for case in ALL {
        let (template, expected) = case.undisturbed();
        for directory in case.writes {
            survives_full_disk(case, directory, (&template, &expected));
        }
    }
}

/// Runs the command behind others, which take something from it, and then undisturbed. Returns its errors. It may end in
/// no other way, unless `may_end` says so.
fn survives(case: &Case, starters: &[Vec<String>], may_end: fn(&Output) -> bool) -> Vec<String> {
    let (template, expected) = case.undisturbed();
    let mut errors = Vec::new();
    for starter in starters {
        let project = template.duplicate();
        let when = starter.join(" ");
        let output = case.run_by(&project, &starter.iter().map(String::as_str).collect::<Vec<_>>());
        if !may_end(&output) {
            errors.extend(error(&case.name(), &output, &when));
        }
        case.completes(&project, &expected, &when);
    }
    errors
}

/// All commands but some. apt fails in its own ways.
fn all_but(some: &[&Case]) -> impl Iterator<Item = &'static Case> {
    ALL.into_iter().filter(|case| some.iter().all(|one| one.args != case.args))
}

/// Whether Rust or glibc has ended the program because there was no memory for a value, or AWS-LC has, without a word.
fn ended_without_memory(output: &Output) -> bool {
    let is_aborted = output.status.signal() == Some(6) || output.status.code() == Some(134);
    let said = String::from_utf8_lossy(&output.stderr);
    let is_told = ["memory allocation of ", "Fatal glibc error: "].iter().any(|it| said.starts_with(it));
    is_aborted && (said.is_empty() || is_told) && !said.contains("panicked")
}

/// apt-get may not say that there is no space: it finds that a list is missing, or leaves a package without its end.
#[test]
fn as_root_a_full_cache_of_apt_is_survived() {
    let (template, expected) = IMPORT.undisturbed();
    for size in ["8k", "24k"] {
        let (project, disk) = with_disk(&template, "cache");
        disk.grow(size);
        let output = project.mailimg(IMPORT.args).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(matches!(output.status.code(), Some(3 | 4 | 6)) && !said.contains("panicked"), "{size}: {said}");
        disk.grow(PLENTY);
        IMPORT.completes(&project, &expected, size);
    }
}

#[test]
fn few_files_are_enough_or_an_error() {
    let starters = [20, 12].into_iter().take(count(1, 2));
    let starters: Vec<_> = starters.map(|files| vec!["prlimit".to_owned(), format!("--nofile={files}")]).collect();
    for case in ALL {
        for said in survives(case, &starters, |_| false) {
            assert!(said.contains("Too many open files"), "{}: {said}", case.name());
        }
    }
}

/// Runs a command as a user who may have only so many threads: root has no such limit. All of the user's count.
fn with_threads(threads: u32, user: &str, template: &Project, args: &[&str]) -> Output {
    let project = template.duplicate();
    let program = project.copy_program();
    fs_err::set_permissions(project.root(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let owned = Command::new("chown").args(["-R", user]).arg(project.root()).status().unwrap();
    assert!(owned.success());
    Command::new("setpriv")
        .args(["--reuid", user, "--clear-groups", "prlimit", &format!("--nproc={threads}")])
        .arg(program)
        .args(args)
        .env("MAILIMG_CACHE_DIR", project.cache())
        .current_dir(project.path())
        .output()
        .unwrap()
}

/// Runs a command with fewer and more threads, as a user of its own. Returns how often it failed, and said why.
fn survives_few_threads(user: u32, template: &Project, args: &[&str]) -> usize {
    let mut errors = 0;
    for threads in [1, 2, 3, 4, 5, 6, 8, 12, 16] {
        let output = with_threads(threads, &user.to_string(), template, args);
        if let Some(said) = error(&args.join(" "), &output, &format!("with {threads} threads")) {
            let told = said.contains("can't start ") && said.matches("Resource temporarily unavailable").count() == 1;
            assert!(told && said.contains("raise the limits"), "{args:?} with {threads} threads: {said}");
            errors += 1;
        }
    }
    assert!(errors < 9, "{args:?} fails with 16 threads, too");
    errors
}

#[test]
fn as_root_few_threads_are_enough_or_an_error() {
    let others = all_but(&[&ARCHIVE, &IMPORT]).take(count(0, ALL.len()));
    for (case, user) in [&ARCHIVE].into_iter().chain(others).zip(59467..) {
        let errors = survives_few_threads(user, &(case.prepare)(), case.args);
        assert!(errors > 0 || case.args != ARCHIVE.args, "a build never lacked a thread");
    }
}

#[test]
fn as_root_few_threads_are_enough_for_a_push_or_an_error() {
    let registry = Registry::start();
    let project = locked();
    project.run(["build"]);
    assert!(survives_few_threads(59466, &project, &["push", "--to", &registry.name("few-threads")]) > 0);
}

/// The least memory in which the program starts at all, in KiB.
fn least_memory(project: &Project) -> u64 {
    let starts = |size: &u64| {
        let program = env!("CARGO_BIN_EXE_mailimg");
        let mut command = Command::new("prlimit");
        command.arg(format!("--as={}", size << 10)).args([program, "--version"]).current_dir(project.path());
        command.output().unwrap().status.success()
    };
    (1..1000).map(|step| step << 10).find(starts).unwrap()
}

#[test]
fn little_memory_is_enough_or_an_error() {
    let least = least_memory(&Project::new());
    // The build needs most.
    let sizes = |steps: u64| (0..steps).map(move |step| least + (step * step * (200 << 10)) / (steps * steps));
    let starters = |steps: usize| -> Vec<_> {
        sizes(steps as u64).map(|size| vec!["prlimit".to_owned(), format!("--as={}", size << 10)]).collect()
    };
    for case in [&ARCHIVE, &SECRETS] {
        survives(case, &starters(count(4, 60)), ended_without_memory);
    }
    for case in all_but(&[&ARCHIVE, &SECRETS, &IMPORT]).take(count(0, ALL.len())) {
        survives(case, &starters(12), ended_without_memory);
    }
}

#[test]
fn the_clock_does_not_matter() {
    let starters =
        ["1970-01-02 00:00:00", "2100-01-01 00:00:00"].map(|time| vec!["faketime".to_owned(), time.to_owned()]);
    // apt refuses what is signed in its future.
    for case in all_but(&[&IMPORT]) {
        let errors = survives(case, &starters, |_| false);
        assert_eq!(errors, [""; 0], "{}", case.name());
    }
}
