//! `mailimg queue` on the running server.

use std::time::Duration;

use lettre::Transport as _;
use lettre::transport::smtp::authentication::Mechanism;

use crate::common::wait_for;
use crate::stack::{self, ALICE, DEFERRED, Stack, mark};
use crate::submission::{client, mail};

/// The mail for a recipient in `queue list`.
pub fn queued(stack: &Stack, recipient: &str) -> Option<serde_json::Value> {
    let mails = stack.json(&["queue", "list"]);
    mails.as_array().unwrap().iter().find(|mail| mail["recipients"][0]["address"] == recipient).cloned()
}

#[test]
fn mail_that_waits_is_seen_held_released_and_deleted() {
    let stack = stack::shared();
    let recipient = format!("{}@{DEFERRED}", mark("waits"));
    client(&stack, 587, Mechanism::Plain, ALICE).send(&mail(ALICE.0, &recipient, "waits")).unwrap();
    let in_state = |state: &str| {
        wait_for(&format!("the mail to be in state {state}"), Duration::from_mins(1), || {
            queued(&stack, &recipient).filter(|mail| mail["queue"] == state)
        })
    };
    let mail = in_state("deferred");
    assert_eq!(mail["sender"], ALICE.0);
    let reason = mail["recipients"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("Connection refused"), "{mail}");
    let id = mail["id"].as_str().unwrap();
    let (_, listed, _) = stack.try_mailimg(&["queue", "list"], "");
    assert!(listed.contains(id) && listed.contains(reason), "{listed}");

    stack.mailimg(&["queue", "hold", id], "");
    in_state("hold");
    stack.mailimg(&["queue", "release", id], "");
    in_state("deferred");
    stack.mailimg(&["queue", "flush", id], "");
    stack.mailimg(&["queue", "delete", id], "");
    assert_eq!(queued(&stack, &recipient), None);
    let (succeeded, _, said) = stack.try_mailimg(&["queue", "delete", id], "");
    assert!(!succeeded && said.contains(&format!("not in the queue: {id}")), "{said}");
}
