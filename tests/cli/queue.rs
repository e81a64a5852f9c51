//! The queue, with a fake engine program. The container tests use the real one.

use crate::fake_engine::{calls, project, run, succeed};

const LINES: &str = concat!(
    r#"{"queue_name": "deferred", "queue_id": "3F1A2DA1CE", "arrival_time": 1795690135, "message_size": 1780, "#,
    r#""forced_expire": false, "sender": "", "recipients": [{"address": "a@b.example", "delay_reason": "no\u001b[2J"}]}"#,
    "\n",
    r#"{"queue_name": "hold", "queue_id": "4AAAADA1CE", "arrival_time": 1795690134, "message_size": 9, "#,
    r#""forced_expire": false, "sender": "x@example.org", "recipients": [{"address": "c@d.example"}]}"#,
    "\n",
);

#[test]
fn the_queue_is_listed_oldest_first() {
    let project = project();
    project.write("answers/queue", LINES);
    let (out, said) = succeed(&project, &["queue", "list"], "");
    assert_eq!(
        out,
        "4AAAADA1CE  hold      2026-11-26T10:48:54Z          9  x@example.org\n    c@d.example\n\
         3F1A2DA1CE  deferred  2026-11-26T10:48:55Z       1780  <>\n    a@b.example  no\\u{1b}[2J\n"
    );
    assert_eq!(said, "2 mails in the queue\n");
    assert!(calls(&project).starts_with("compose --file compose.yaml exec -T postfix postqueue -j"));
    let (out, _) = succeed(&project, &["queue", "list", "--json"], "");
    let mails: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        mails[0],
        serde_json::json!({
            "id": "4AAAADA1CE", "queue": "hold", "arrived": "2026-11-26T10:48:54Z", "size": 9,
            "sender": "x@example.org", "recipients": [{ "address": "c@d.example", "reason": null }],
        })
    );
}

#[test]
fn mail_is_held_released_flushed_and_deleted() {
    let project = project();
    project.write("answers/queue", LINES);
    for (args, called, told) in [
        (&["queue", "hold", "3F1A2DA1CE"][..], "postsuper -h - \n3F1A2DA1CE\n", "1 mail put on hold\n"),
        (&["queue", "release", "--all"], "postsuper -H ALL \n", "1 mail released\n"),
        (&["queue", "flush"], "postqueue -f \n", "trying to deliver all deferred mail\n"),
        (&["queue", "flush", "3F1A2DA1CE"], "postqueue -i 3F1A2DA1CE \n", "trying to deliver 1 mail\n"),
        (
            &["queue", "delete", "3F1A2DA1CE", "4AAAADA1CE"],
            "postsuper -d - \n3F1A2DA1CE\n4AAAADA1CE\n",
            "2 mails deleted\n",
        ),
        (&["queue", "delete", "--all", "--yes"], "postsuper -d ALL \n", "2 mails deleted\n"),
    ] {
        let (out, said) = succeed(&project, args, "");
        assert_eq!((out.as_str(), said.as_str()), ("", told), "{args:?}");
        assert!(calls(&project).contains(called), "{args:?}: {}", calls(&project));
    }
}

#[test]
fn the_queue_keeps_what_is_not_named() {
    let project = project();
    project.write("answers/queue", LINES);
    for (args, told) in [
        (&["queue", "delete", "AAAAADA1CE", "3F1A2DA1CE"][..], "not in the queue: AAAAADA1CE"),
        (&["queue", "flush", "AAAAADA1CE"], "not in the queue: AAAAADA1CE"),
        (&["queue", "delete", "--all"], "there is no terminal to ask for confirmation"),
        (&["queue", "delete", "ALL"], "expected the id of a mail"),
        (&["queue", "delete"], "required"),
        (&["queue", "delete", "3F1A2DA1CE", "--all"], "cannot be used with"),
    ] {
        let (code, _, said) = run(&project, args, "");
        assert_eq!(code, Some(2), "{args:?}: {said}");
        assert!(said.contains(told), "{args:?}: {said}");
    }
    let calls = calls(&project);
    assert!(!calls.contains("postsuper") && !calls.contains("postqueue -i"), "{calls}");

    project.write("answers/queue", "huh\n");
    let (code, _, said) = run(&project, &["queue", "list"], "");
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("unexpected answer from postqueue: \"huh\""), "{said}");
    project.write("answers/queue.error", "service \"postfix\" is not running\n");
    let (code, _, said) = run(&project, &["queue", "list"], "");
    assert_eq!(code, Some(4), "{said}");
}
