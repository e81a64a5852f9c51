//! `mailimg test-mail` against a small server with one flaw at a time. The container tests use the real one.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use serde_json::Value;

use crate::common::project::Project;
use crate::fake_mail::{FakeMail, Flaw, PASSWORD, USER};

/// A project whose site is that server.
fn site(flaws: &[Flaw]) -> (Project, FakeMail) {
    site_with(993, flaws)
}

/// The same with another port for IMAP.
fn site_with(imap: u16, flaws: &[Flaw]) -> (Project, FakeMail) {
    let project = Project::new();
    project.run(["init", "example.test"]);
    project.replace("recipes/dovecot.toml", "publish = [993]", &format!("publish = [{imap}]"));
    project.run(["secrets", "init"]);
    let server = FakeMail::start(&[25, 465, 587, imap], &project.path().join("secrets/tls"), flaws);
    publish(&project, &server.ports);
    project.write("password", PASSWORD);
    (project, server)
}

fn publish(project: &Project, ports: &BTreeMap<u16, u16>) {
    let mut site: toml::Table = project.read("mailimg.toml").parse().unwrap();
    let ports: toml::Table = ports.iter().map(|(port, host)| (port.to_string(), i64::from(*host).into())).collect();
    site.insert("publish".to_owned(), toml::Table::from_iter([("ports".to_owned(), ports.into())]).into());
    project.write("mailimg.toml", toml::to_string(&site).unwrap());
}

fn run(project: &Project, args: &[&str]) -> (i32, String, String) {
    let command = [["test-mail", "--server", "127.0.0.1"].as_slice(), args].concat();
    let output = project.mailimg(command).env("RUST_LOG", "trace").output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, said) = (text(&output.stdout), text(&output.stderr));
    // Not even the libraries log it.
    assert!(!out.contains(PASSWORD) && !said.contains(PASSWORD), "{out}{said}");
    (output.status.code().unwrap(), out, said)
}

const WITH_USER: [&str; 4] = ["--user", USER, "--password-file", "password"];

/// The checks that failed, with their details, of a server with these flaws.
fn failures(flaws: &[Flaw], args: &[&str]) -> Vec<String> {
    let (project, _server) = site(flaws);
    let (code, out, said) = run(&project, &[&WITH_USER, ["--json"].as_slice(), args].concat());
    let answer: Value = serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {said}"));
    let checks = answer["checks"].as_array().unwrap();
    let failed: Vec<_> = checks.iter().filter(|check| check["status"] == "failed").collect();
    assert_eq!(code, i32::from(!failed.is_empty()), "{out}{said}");
    for check in &failed {
        assert!(!check["hint"].as_str().unwrap().is_empty(), "{check}");
    }
    let ids: Vec<_> = failed.iter().map(|check| check["id"].clone()).collect();
    assert_eq!(answer["failed"], Value::from(ids), "{out}");
    failed
        .iter()
        .map(|check| format!("{}: {}", check["id"].as_str().unwrap(), check["detail"].as_str().unwrap()))
        .collect()
}

#[track_caller]
fn fails(flaw: Flaw, expected: &[&str]) {
    let failed = failures(&[flaw], &[]);
    assert_eq!(failed.len(), expected.len(), "{failed:#?}");
    for (failed, expected) in failed.iter().zip(expected) {
        assert!(failed.contains(expected), "{expected:?} in {failed:?}");
    }
}

#[test]
fn a_sound_server_passes_and_is_left_as_it_was() {
    let (project, server) = site(&[]);
    let (code, out, said) = run(&project, &WITH_USER);
    assert_eq!(code, 0, "{out}{said}");
    let lines: Vec<_> = out.lines().collect();
    assert_eq!(lines[0], "passed   25-greeting         mail.example.test greets");
    assert_eq!(lines.iter().filter(|line| line.starts_with("passed   ")).count(), 31, "{out}");
    assert!(lines.last().unwrap().starts_with("passed   cleanup             3 test mails deleted"), "{out}");
    assert!(said.contains("31 of 31 checks passed, after "), "{said}");
    assert!(server.mails().is_empty());
    let wrong: Vec<_> = server.logins().into_iter().filter(|login| login.ends_with("wrong")).collect();
    assert_eq!(wrong, ["SMTP wrong", "IMAP wrong"]);
}

#[test]
fn without_a_user_nobody_logs_in_and_no_mail_is_sent() {
    let (project, server) = site(&[]);
    let (code, out, said) = run(&project, &[]);
    assert_eq!(code, 0, "{out}{said}");
    assert!(out.contains("25-relay") && !out.contains("message") && !out.contains("login"), "{out}");
    assert!(said.contains("; next: `mailimg test-mail --user ADDRESS`"), "{said}");
    assert!(server.logins().is_empty() && server.mails().is_empty());
}

#[test]
fn strangers_get_too_much() {
    fails(Flaw::OpenRelay, &["25-relay: an open relay"]);
    fails(Flaw::CatchAll, &["25-unknown-user: mail for mailimg-test-"]);
    assert!(failures(&[Flaw::CatchAll], &["--skip", "25-unknown-user"]).is_empty());
}

#[test]
fn a_client_of_a_trusted_network_may_send_to_anybody() {
    let (project, _server) = site(&[Flaw::OpenRelay]);
    let mut site: toml::Table = project.read("mailimg.toml").parse().unwrap();
    let networks = toml::Value::from(vec!["192.0.2.0/24"]);
    site.insert("smtp".to_owned(), toml::Table::from_iter([("trusted-networks".to_owned(), networks)]).into());
    project.write("mailimg.toml", toml::to_string(&site).unwrap());
    let (code, out, _) = run(&project, &[]);
    assert_eq!(code, 1, "{out}");
    let told = "failed   25-relay            mail for mailimg-test@example.com is accepted without login: 250 ok → clients \
                in 192.0.2.0/24 may send so (smtp.trusted-networks). If this machine is one of them";
    assert!(out.contains(told), "{out}");
    assert!(!out.contains("open relay: mail"), "{out}");
    assert_eq!(run(&project, &["--skip", "25-relay"]).0, 0);
}

#[test]
fn passwords_are_not_safe() {
    fails(
        Flaw::AnyPassword,
        &["587-wrong-password: a wrong password is accepted", "993-wrong-password: a wrong password is accepted"],
    );
    fails(Flaw::AuthInTheClear, &["25-offers: AUTH is offered before TLS", "587-offers: AUTH is offered before TLS"]);
}

#[test]
fn tls_is_missing_or_old() {
    let failed = failures(&[Flaw::NoStarttls], &[]);
    let starts = ["25-offers: STARTTLS isn't offered", "25-certificate: STARTTLS is refused: 500 what?", "25-tls: "];
    assert!(failed.iter().zip(starts).all(|(failed, start)| failed.starts_with(start)), "{failed:#?}");
    assert_eq!(failed.len(), 6, "{failed:#?}");
    let versions = ["25-tls", "465-tls", "587-tls", "993-tls"];
    let failed = failures(&[Flaw::OldTls], &[]);
    for id in versions {
        assert!(failed.contains(&format!("{id}: TLS 1.0 and 1.1 are accepted, but insecure")), "{failed:#?}");
    }
}

#[test]
fn mail_is_read_with_starttls_where_the_site_has_only_that() {
    let (project, server) = site_with(143, &[]);
    let (code, out, said) = run(&project, &WITH_USER);
    assert_eq!(code, 0, "{out}{said}");
    assert!(out.contains("passed   143-offers          STARTTLS is offered, a login before TLS is not"), "{out}");
    assert!(out.contains("passed   143-wrong-password  [AUTHENTICATIONFAILED] no"), "{out}");
    assert!(server.mails().is_empty());
    let (project, _server) = site_with(143, &[Flaw::AuthInTheClear]);
    let (code, out, _) = run(&project, &[]);
    assert_eq!(code, 1);
    assert!(out.contains("failed   143-offers          logins are allowed before TLS"), "{out}");
}

#[test]
fn viruses_are_taken_and_removed_again() {
    let (project, server) = site(&[Flaw::TakesViruses]);
    let (code, out, _) = run(&project, &WITH_USER);
    assert_eq!(code, 1);
    for line in
        ["failed   25-virus            the EICAR test virus is accepted: 250 ok", "passed   cleanup             5 test"]
    {
        assert!(out.contains(line), "{line} in {out}");
    }
    assert!(server.mails().is_empty());
}

#[test]
fn an_interrupted_test_leaves_no_mail() {
    let (project, server) = site(&[]);
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_mailimg"));
    command.args(["test-mail", "--server", "127.0.0.1"]).args(WITH_USER).current_dir(project.path());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.starts_with("passed   25-arrival")));
    assert_eq!(server.mails().len(), 1);
    let killed = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let rest: Vec<_> = lines.collect();
    assert!(rest.last().unwrap().starts_with("passed   cleanup"), "{rest:?}");
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && said.contains("error: interrupted"), "{said}");
    assert!(server.mails().is_empty());
}

#[test]
fn mail_is_unsigned() {
    fails(Flaw::Unsigned, &["587-dkim: not signed for example.test"]);
}

#[test]
fn a_server_that_asks_to_come_again_is_asked_again() {
    assert!(failures(&[Flaw::GreylistsOnce], &[]).is_empty());
}

#[test]
fn a_server_without_end_is_not_heard_to_its_end() {
    let failed = failures(&[Flaw::Babbles], &[]);
    assert!(failed[0].contains("25-greeting: ") && failed[0].contains("too large"), "{failed:#?}");
}

#[test]
fn a_wrong_password_is_tried_once() {
    let (project, server) = site(&[]);
    project.write("password", "a wrong one");
    let (code, out, said) = run(&project, &WITH_USER);
    assert_eq!(code, 1, "{out}{said}");
    assert!(out.contains("failed   993-login           the login is refused: [AUTHENTICATIONFAILED] no"), "{out}");
    assert!(out.contains("skipped  587-login           needs 993-login, which failed"), "{out}");
    assert!(said.contains("error: failed: 993-login"), "{said}");
    assert_eq!(server.logins(), ["IMAP wrong"]);
}

#[test]
fn a_server_that_is_not_there_fails_all() {
    let (project, server) = site(&[]);
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let ports = server.ports.keys().zip(nobody..).map(|(port, host)| (*port, host)).collect();
    publish(&project, &ports);
    let (code, out, said) = run(&project, &["--timeout", "60"]);
    assert_eq!(code, 1, "{said}");
    let refused = format!("can't connect to 127.0.0.1, port {}: Connection refused", ports[&25]);
    assert!(
        out.contains("25-greeting")
            && out.contains(&refused)
            && out.contains("--server connects to another name or address"),
        "{out}"
    );
    assert!(out.contains("skipped  25-relay"), "{out}");
    // There is nothing to do before that is mended.
    assert!(said.contains("0 of 6 checks passed, 9 skipped, after ") && !said.contains("next:"), "{said}");
}

#[test]
fn what_can_not_be_tested_is_told_at_once() {
    let (code, _, said) = run(&Project::new(), &[]);
    assert!(code == 2 && said.contains("mailimg init"), "{said}");
    let (project, server) = site(&[]);
    for (args, code, told) in [
        (&["--user", "bob@elsewhere.test"][..], 2, "bob@elsewhere.test is not in a domain of this site"),
        (&["--user", USER, "--password-file", "missing"], 2, "can't read missing"),
        (&["--user", USER], 2, "there is no terminal to prompt for the password"),
        (&["--password-file", "password"], 2, "a password without --user"),
        (&["--skip", "25-rely"], 2, "did you mean 25-relay?"),
    ] {
        let (found, out, said) = run(&project, args);
        assert!(found == code && out.is_empty() && said.contains(told), "{args:?}: {found} {said}");
    }
    project.write("secrets/tls/fullchain.pem", "-----BEGIN CERTIFICATE-----\n???\n-----END CERTIFICATE-----\n");
    let (code, _, said) = run(&project, &[]);
    assert!(code == 6 && said.contains("can't read ./secrets/tls/fullchain.pem"), "{said}");
    assert!(server.logins().is_empty());
}

#[test]
fn the_time_for_all_checks_is_kept() {
    let (project, _server) = site(&[]);
    let (code, out, _) = run(&project, &["--timeout", "0"]);
    assert_eq!(code, 1);
    assert!(out.contains("failed   25-greeting         not checked: the time for all checks has run out"), "{out}");
}
