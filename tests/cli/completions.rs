//! Completions in a real bash, which a terminal's keys reach.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::common::project::Project;
use crate::fake_engine::{calls, project};

/// What stands in the line after these keys. A word that can't be completed stays as it is.
fn typed(project: &Project, keys: &str) -> String {
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_mailimg"));
    let directory = program.parent().unwrap().display();
    let mut bash = Command::new("script");
    bash.args(["-qec", "bash --norc --noprofile -i", "/dev/null"]).current_dir(project.path());
    bash.env("PATH", format!("{}/bin:{directory}:/usr/bin:/bin", project.path().display()));
    bash.envs([("TERM", "dumb"), ("INPUTRC", "/dev/null"), ("HISTFILE", "")]).env_remove("MAILIMG_ENGINE");
    let mut bash = bash.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Ctrl-A goes to the start of the line, which is printed then instead of run.
    let keys = format!("source <(mailimg completions bash)\n{keys}\u{1}printf '<%s>\\n' \nexit\n");
    bash.stdin.take().unwrap().write_all(keys.as_bytes()).unwrap();
    let output = bash.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let words = said.lines().filter_map(|line| line.trim().strip_prefix('<')?.strip_suffix('>'));
    let words: Vec<&str> = words.collect();
    assert!(words.first() == Some(&"mailimg"), "{said}");
    words[1..].join(" ")
}

#[test]
fn names_of_the_project_are_completed() {
    let project = project();
    assert_eq!(typed(&project, "mailimg bui\t--dry"), "build --dry");
    assert_eq!(typed(&project, "mailimg build postf\tdov\t"), "build postfix dovecot");
    assert_eq!(typed(&project, "mailimg logs --follow cla\t"), "logs --follow clamav");
    assert_eq!(typed(&project, "mailimg lock --channel debian-1\t"), "lock --channel debian-13");
    assert_eq!(typed(&project, "mailimg domain del exa\t"), "domain del example.org");
    assert_eq!(typed(&project, "mailimg build nothi\t"), "build nothi");
    let elsewhere = Project::new();
    assert_eq!(typed(&elsewhere, "mailimg build postf\t"), "build postf");
    let keys = format!("mailimg -C {} build postf\t", project.path().display());
    assert!(typed(&elsewhere, &keys).ends_with(" build postfix"));
    assert_eq!(calls(&project), "");
}

#[test]
fn users_of_the_running_site_are_completed() {
    let project = project();
    project.write("answers/users", "[\"alice@example.org\", null, 1, 1]\n[\"bob@example.org\", 0, 1, 0]\n");
    assert_eq!(typed(&project, "mailimg user del ali\t--purge"), "user del alice@example.org --purge");
    // Bash takes the @ for the beginning of a word.
    assert_eq!(typed(&project, "mailimg mailbox list bob@ex\t"), "mailbox list bob@example.org");
    assert_eq!(typed(&project, "mailimg mailbox list bob@\t"), "mailbox list bob@example.org");
    assert_eq!(typed(&project, "mailimg test-mail --user b\t"), "test-mail --user bob@example.org");
}

#[test]
fn a_server_that_does_not_answer_is_not_waited_for() {
    let project = project();
    project.write("answers/users", "[\"alice@example.org\", null, 1, 1]\n");
    project.replace("bin/docker", "kind=users;;", "kind=users; exec sleep 20;;");
    let started = std::time::Instant::now();
    assert_eq!(typed(&project, "mailimg user del ali\t"), "user del ali");
    assert!(started.elapsed() < std::time::Duration::from_secs(15), "{:?}", started.elapsed());
    project.write("answers/users.error", "service \"mysql\" is not running\n");
    project.replace("bin/docker", "kind=users; exec sleep 20;;", "kind=users;;");
    assert_eq!(typed(&project, "mailimg user del ali\t"), "user del ali");
}

#[test]
fn every_shell_has_a_script() {
    let project = Project::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let output = project.mailimg(["completions", shell]).output().unwrap();
        let script = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && script.contains("MAILIMG_COMPLETE"), "{shell}: {script}");
    }
}
