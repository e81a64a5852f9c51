//! `mailimg test-mail` against the real server.

use std::collections::BTreeMap;

use crate::common::project::Project;
use crate::stack::{self, ALICE, DOMAIN};

/// What each check came to: status, and detail with hint.
type Checks = BTreeMap<String, (String, String)>;

/// Tests the server with the files of a project, which need not be the server's own.
fn test_mail(project: &Project) -> Checks {
    let options = ["--server", "127.0.0.1", "--user", ALICE.0, "--password-stdin", "--json"];
    let output = project.mailimg([["test-mail"].as_slice(), &options].concat()).write_stdin(ALICE.1).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let answer: serde_json::Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"));
    let failed = answer["failed"].as_array().unwrap();
    assert_eq!(output.status.code(), Some(i32::from(!failed.is_empty())), "{said}");
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let told = |it: &serde_json::Value| format!("{} {}", text(&it["detail"]), text(&it["hint"]));
    let checks = answer["checks"].as_array().unwrap();
    checks.iter().map(|it| (text(&it["id"]), (text(&it["status"]), told(it)))).collect()
}

fn with_status<'a>(checks: &'a Checks, wanted: &str) -> Vec<&'a str> {
    checks.iter().filter(|(_, (status, _))| status == wanted).map(|(id, _)| id.as_str()).collect()
}

#[test]
fn a_sound_server_passes_every_check() {
    let stack = stack::shared();
    let checks = test_mail(&stack.project);
    assert_eq!(with_status(&checks, "passed").len(), checks.len(), "{checks:#?}");
    assert_eq!(checks.len(), 31, "{checks:#?}");
    for (id, part) in [
        ("25-greeting", "mail.example.test greets"),
        ("25-tls", "TLS 1.2 and 1.3; 1.0 and 1.1 are refused"),
        ("465-certificate", "the site's own, self-signed"),
        ("25-relay", "Relay access denied"),
        ("25-unknown-user", "5.1.1"),
        ("25-results", "dmarc=none"),
        ("25-virus", "550"),
        ("587-virus", "550"),
        ("587-wrong-password", "535"),
        ("587-dkim", "signed for example.test with mail._domainkey"),
        ("465-arrival", "in INBOX"),
        ("993-wrong-password", "Authentication failed"),
        ("cleanup", "3 test mails deleted"),
    ] {
        assert!(checks[id].1.contains(part), "{id}: {checks:#?}");
    }
    assert_eq!(stack.mailbox(ALICE).find("INBOX", "mailimg-test."), None);
}

#[test]
fn a_server_without_its_scanner_takes_no_mail_and_the_report_says_why() {
    let stack = stack::exclusive();
    stack.compose(&["stop", "-t", "10", "clamav"]);
    let checks = test_mail(&stack.project);
    stack.compose(&["start", "clamav"]);
    stack.wait_until_healthy("clamav");
    let failed = with_status(&checks, "failed");
    assert!(failed.contains(&"25-message"), "{checks:#?}");
    for id in failed {
        let told = &checks[id].1;
        assert!(told.contains("451 ") || told.contains("454 "), "{id}: {checks:#?}");
        assert!(told.contains("such as ClamAV"), "{id}: {checks:#?}");
    }
    // Postfix answers all commands so, even STARTTLS and AUTH, while a filter is away.
    for id in ["25-arrival", "25-virus", "587-message", "587-dkim", "587-virus", "465-message"] {
        assert_ne!(checks[id].0, "passed", "{checks:#?}");
    }
    for id in ["25-greeting", "465-certificate", "993-login", "993-wrong-password"] {
        assert_eq!(checks[id].0, "passed", "{checks:#?}");
    }
}

/// A copy of the project without the server's own certificate, but with another one.
#[test]
fn the_password_is_not_sent_to_a_server_with_a_foreign_certificate() {
    let stack = stack::shared();
    let copy = Project::with_shared_cache();
    copy.run(["init", DOMAIN]);
    copy.write("mailimg.toml", stack.project.read("mailimg.toml"));
    copy.run(["secrets", "init"]);
    let checks = test_mail(&copy);
    let certificates = ["25-certificate", "465-certificate", "587-certificate", "993-certificate"];
    assert_eq!(with_status(&checks, "failed"), certificates, "{checks:#?}");
    assert!(checks["993-certificate"].1.contains("it isn't the one in secrets/tls"), "{checks:#?}");
    for id in ["25-auth", "25-message", "587-login", "465-login", "993-login"] {
        assert_eq!(checks[id].0, "skipped", "{checks:#?}");
    }

    // The right certificate, but another name.
    copy.write("secrets/tls/fullchain.pem", stack.certificate());
    copy.replace("mailimg.toml", "hostname = \"mail.example.test\"", "hostname = \"imap.example.test\"");
    let checks = test_mail(&copy);
    assert!(
        checks["25-greeting"].1.contains("calls itself \"mail.example.test\", not imap.example.test"),
        "{checks:#?}"
    );
    assert!(checks["993-certificate"].1.contains("the certificate isn't for imap.example.test"), "{checks:#?}");
}
