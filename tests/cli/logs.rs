//! The services' logs, with a fake engine program.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use crate::common::project::Project;
use crate::fake_engine::{calls, path, project, run, succeed};

const PRINTED: &str = "\
postfix-1  | 2026-11-26T10:48:55.200000000Z from=<a@example.org>
postfix-1  | 2026-11-26T10:48:55.400000000Z status=sent
\u{1b}[2Kdovecot-1  | 2026-11-26T10:48:55.300000000Z stored mail
";

/// An engine with two containers. The first has kept its log, the second hasn't.
fn two_containers() -> Project {
    let project = project();
    project.write("answers/containers", "1\n2\n");
    let container = |id: &str, service: &str| {
        let labels = serde_json::json!({ "com.docker.compose.service": service });
        serde_json::json!({
            "Id": id, "Config": { "Image": "i", "Labels": labels }, "State": { "Status": "exited" },
        })
    };
    let inspected = serde_json::json!([container("1", "postfix"), container("2", "dovecot")]);
    project.write("answers/inspected", inspected.to_string());
    let log = "2026-11-26T10:48:55.200000Z from=<a@example.org>\n2026-11-26T10:48:55.400000Z status=sent\n";
    let older = "2026-11-26T09:00:00.000000Z connect from mx.example.org[192.0.2.1]\n";
    project.write("answers/kept-1", archive(&[("mailimg/log", log), ("mailimg/log.1", older)]));
    project.write("answers/kept-2.error", "Could not find the file /var/log/mailimg in container 2\n");
    project.write("answers/logs", PRINTED.lines().filter(|line| line.contains("dovecot")).collect::<String>());
    project
}

fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, text) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(text.len() as u64);
        header.set_mode(0o640);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1);
        archive.append_data(&mut header, name, text.as_bytes()).unwrap();
    }
    archive.into_inner().unwrap()
}

#[test]
fn lines_of_all_services_come_in_one_order() {
    let project = two_containers();
    let (out, said) = succeed(&project, &["logs"], "");
    assert_eq!(
        out,
        "2026-11-26T09:00:00.000000Z postfix connect from mx.example.org[192.0.2.1]\n\
         2026-11-26T10:48:55.200000Z postfix from=<a@example.org>\n\
         2026-11-26T10:48:55.300000000Z dovecot stored mail\n\
         2026-11-26T10:48:55.400000Z postfix status=sent\n"
    );
    assert_eq!(said, "");
    let called = "compose --file compose.yaml logs --no-color --timestamps dovecot \n";
    assert!(calls(&project).contains(called), "{}", calls(&project));
}

#[test]
fn older_lines_and_other_services_are_left_out() {
    let project = two_containers();
    let (out, _) = succeed(&project, &["logs", "--since", "2026-11-26T10:48:55Z", "postfix"], "");
    assert_eq!(
        out,
        "2026-11-26T10:48:55.200000Z postfix from=<a@example.org>\n\
         2026-11-26T10:48:55.400000Z postfix status=sent\n"
    );
    assert!(calls(&project).ends_with("cp 1:/var/log/mailimg - \n"), "{}", calls(&project));
    assert_eq!(succeed(&project, &["logs", "--since", "2026-11-26T10:48:56Z", "postfix"], "").0, "");
}

#[test]
fn a_log_that_cannot_be_kept_goes_on_with_the_engines_lines() {
    let project = two_containers();
    let full = "2026-11-26T10:50:00.000000000Z logged: can't keep the log: [Errno 28] No space left on device";
    let last = "2026-11-26T11:00:00.000000000Z status=bounced";
    project.write("answers/newest", format!("postfix-1  | {last}\n"));
    let same = PRINTED.lines().next().unwrap();
    project.write("answers/logs", format!("{same}\npostfix-1  | {full}\npostfix-1  | {last}\n"));
    let (out, said) = succeed(&project, &["logs", "postfix", "--since", "2026-11-26T10:48:55Z"], "");
    let told = "warning: postfix has not been able to keep its log since 2026-11-26T10:48:55.400000Z: [Errno 28] No space \
                left on device. What follows is the engine's copy";
    assert!(said.contains(told), "{said}");
    let (full, last) = (full.replacen(' ', " postfix ", 1), last.replacen(' ', " postfix ", 1));
    let kept =
        "2026-11-26T10:48:55.200000Z postfix from=<a@example.org>\n2026-11-26T10:48:55.400000Z postfix status=sent";
    assert_eq!(out, format!("{kept}\n{full}\n{last}\n"));
    let called = "logs --no-color --timestamps --since 2026-11-26T10:48:55.400000Z postfix \n";
    assert!(calls(&project).ends_with(called), "{}", calls(&project));

    // A log of which nothing was ever kept.
    project.write("answers/kept-1", archive(&[]));
    let (out, said) = succeed(&project, &["logs", "postfix"], "");
    assert!(said.contains("warning: postfix has not been able to keep its log: [Errno 28]"), "{said}");
    assert_eq!(out.lines().count(), 3, "{out}");

    // What the engine had last is in the log, or the engine has nothing.
    for newest in ["postfix-1  | 2026-11-26T10:48:55.500000000Z status=sent\n", ""] {
        let project = two_containers();
        project.write("answers/newest", newest);
        assert_eq!(succeed(&project, &["logs", "postfix"], "").1, "");
    }
}

#[test]
fn a_log_that_cannot_be_read_is_told() {
    let project = two_containers();
    project.write("answers/kept-1.error", "Error response from daemon: no such file system\n");
    let (code, out, said) = run(&project, &["logs", "postfix"], "");
    assert_eq!((code, out.as_str()), (Some(4), ""), "{said}");
    assert!(said.contains("can't read the logs: Error response from daemon: no such file system"), "{said}");
    let project = two_containers();
    project.write("answers/kept-1", "x".repeat(1024));
    let (code, _, said) = run(&project, &["logs", "postfix"], "");
    assert!(code != Some(0) && said.contains("can't read its output"), "{code:?} {said}");
}

#[test]
fn compose_follows_the_logs() {
    let project = project();
    project.write("answers/logs", PRINTED);
    let (out, _) = succeed(&project, &["logs", "--follow", "--since", "2026-11-26T10:48:55Z"], "");
    assert_eq!(
        out,
        "2026-11-26T10:48:55.200000000Z postfix from=<a@example.org>\n\
         2026-11-26T10:48:55.400000000Z postfix status=sent\n\
         2026-11-26T10:48:55.300000000Z dovecot stored mail\n"
    );
    let called = "logs --no-color --timestamps --since 2026-11-26T10:48:55Z --follow \n";
    assert!(calls(&project).ends_with(called), "{}", calls(&project));
}

#[test]
fn following_ends_when_nobody_reads_any_more() {
    let project = project();
    project.write("answers/logs", PRINTED);
    project.write("answers/logs.repeats", "");
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_mailimg"));
    command.args(["logs", "--follow"]).current_dir(project.path());
    command.env("PATH", path(&project));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().ends_with("from=<a@example.org>"));
    drop(lines);
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
}

#[test]
fn no_logs_have_a_reason() {
    let project = two_containers();
    let (code, _, said) = run(&project, &["logs", "posfix"], "");
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("there is no image \"posfix\"") && said.contains("postfix"), "{said}");
    let (code, _, said) = run(&project, &["logs", "--since", "yesterday"], "");
    assert!(code == Some(2) && said.contains("expected a time such as 10m, 2h, 1d or 2026-06-03T10:11:12Z"), "{said}");
    assert_eq!(calls(&project), "");
    project.write("answers/logs.error", "unknown flag: --since\n");
    let (code, out, said) = run(&project, &["logs", "--since", "1h"], "");
    assert_eq!((code, out.as_str()), (Some(4), ""), "{said}");
    assert!(said.contains("can't read the logs: unknown flag: --since"), "{said}");
}
