//! `mailimg mailbox` with a fake engine program. The container tests use the real one.

use serde_json::{Value, json};

use crate::common::project::Project;
use crate::fake_engine::{calls, project, run, succeed};

/// A site whose users have two folders, with two mails in Junk that are old.
fn mailboxes() -> Project {
    let project = project();
    project.write("answers/folders", "mailbox\tmessages\tvsize\nJunk\t3\t900\nA b/\u{1b}c\t1\t20\n");
    project.write("answers/folder-names", "Junk\nA b/c\n");
    project.write("answers/old", "a1 1\na1 2\n");
    project
}

#[test]
fn folders_are_listed_by_name() {
    let project = mailboxes();
    let (out, said) = succeed(&project, &["mailbox", "list", "a@example.org"], "");
    assert_eq!((out.as_str(), said.as_str()), ("A b/\\u{1b}c\t1\t20\nJunk\t3\t900\n", ""));
    let called = "exec -T dovecot doveadm -f tab mailbox status -u a@example.org messages vsize * \n";
    assert!(calls(&project).ends_with(called), "{}", calls(&project));
    let (out, _) = succeed(&project, &["mailbox", "list", "a@example.org", "--json"], "");
    let folders: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(folders[1], json!({ "name": "Junk", "messages": 3, "size": 900 }));
}

#[test]
fn old_mail_is_deleted_only_with_consent() {
    let project = mailboxes();
    let args = ["mailbox", "expunge", "a@example.org", "A b/c", "--older-than", "2026-06-03T10:11:12Z"];
    let (code, _, said) = run(&project, &args, "y\n");
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("no terminal to ask") && said.contains("--yes"), "{said}");
    assert!(!calls(&project).contains("expunge"), "{}", calls(&project));

    let (out, said) = succeed(&project, &[&args, ["--yes"].as_slice()].concat(), "");
    assert_eq!((out.as_str(), said.as_str()), ("", "2 mails deleted from A b/c of a@example.org\n"));
    let query = "-u a@example.org mailbox A b/c savedbefore 1780481472 \n";
    for command in ["search", "expunge"] {
        let called = format!("exec -T dovecot doveadm {command} {query}");
        assert!(calls(&project).contains(&called), "{}", calls(&project));
    }
    let (out, said) = succeed(&project, &[&args, ["--yes", "--json"].as_slice()].concat(), "");
    assert_eq!((serde_json::from_str::<Value>(&out).unwrap(), said.as_str()), (json!({ "deleted": 2 }), ""));
}

#[test]
fn nothing_is_deleted_where_nothing_is_old() {
    let project = mailboxes();
    // Dovecot would take so early a time for something else.
    let early = ["mailbox", "expunge", "a@example.org", "Junk", "--older-than", "12000d"];
    let (_, said) = succeed(&project, &early, "");
    assert_eq!(said, "0 mails deleted from Junk of a@example.org\n");
    assert!(!calls(&project).contains("search"), "{}", calls(&project));
    project.write("answers/old", "");
    let (_, said) = succeed(&project, &["mailbox", "expunge", "a@example.org", "Junk", "--older-than", "30d"], "");
    assert_eq!(said, "0 mails deleted from Junk of a@example.org\n");
    assert!(calls(&project).contains("search") && !calls(&project).contains("expunge"), "{}", calls(&project));
}

#[test]
fn a_mailbox_is_repaired() {
    let project = mailboxes();
    let (_, said) = succeed(&project, &["mailbox", "repair", "a@example.org"], "");
    assert_eq!(said, "repaired the mailbox of a@example.org\n");
    for called in ["doveadm force-resync -u a@example.org * \n", "doveadm quota recalc -u a@example.org \n"] {
        assert!(calls(&project).contains(called), "{}", calls(&project));
    }
    // The count says nothing of its failure.
    project.write("answers/folders.error", "doveadm(a@example.org): Error: Mailbox INBOX: Index is read-only\n");
    let (code, _, said) = run(&project, &["mailbox", "repair", "a@example.org"], "");
    assert!(code == Some(4) && said.contains("Index is read-only"), "{said}");
}

#[test]
fn what_is_not_there_is_told() {
    let expunge = |folder| ["mailbox", "expunge", "a@example.org", folder, "--older-than", "30d", "--yes"];
    let project = mailboxes();
    for (folder, hint) in [("junk", "did you mean Junk?"), ("*", "there are Junk, A b/c")] {
        let (code, _, said) = run(&project, &expunge(folder), "");
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(&format!("has no folder \"{folder}\"")) && said.contains(hint), "{said}");
    }
    assert!(!calls(&project).contains("doveadm expunge"));
    let (code, _, said) = run(&project, &["mailbox", "expunge", "a@example.org", "Junk"], "");
    assert!(code == Some(2) && said.contains("--older-than"), "{said}");

    project.write("answers/folders", "mailbox\tmessages\tvsize\nJunk\tmany\t9\n");
    let (code, _, said) = run(&project, &["mailbox", "list", "a@example.org"], "");
    assert!(code == Some(3) && said.contains("unexpected answer from the mailboxes service"), "{said}");
    project.write("answers/folders.error", "doveadm(a@example.org): Fatal: User doesn't exist\n");
    let (code, _, said) = run(&project, &["mailbox", "list", "a@example.org"], "");
    assert!(code == Some(2) && said.contains("there is no active user a@example.org"), "{said}");
}
