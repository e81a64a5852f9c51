//! `mailimg logs` on the running server.

use crate::stack::{self, ALICE, deliver, mark};

#[test]
fn a_mail_is_followed_from_one_service_to_the_next() {
    let stack = stack::shared();
    let mark = mark("logged");
    deliver(&stack, ALICE.0, &mark);
    stack.mailbox(ALICE).wait_for_message(&mark);
    let logs = stack.mailimg(&["logs", "dovecot", "postfix", "--since", "5m"], "");
    let lines: Vec<&str> = logs.lines().collect();
    assert!(lines.is_sorted_by_key(|line| line.split(' ').next()), "{logs}");
    let about: Vec<&str> =
        lines.iter().filter(|line| line.contains(&mark)).filter_map(|line| line.split_whitespace().nth(1)).collect();
    assert!(about.starts_with(&["postfix"]) && about.contains(&"dovecot"), "{about:?}\n{logs}");
}
