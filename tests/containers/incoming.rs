//! Mail from strangers, on port 25.

use crate::common::smtp::Smtp;
use crate::stack::{self, ALICE, POSTMASTER, deliver, mark, message};

#[test]
fn mail_for_a_user_lands_in_the_mailbox() {
    let stack = stack::shared();
    let mark = mark("incoming");
    deliver(&stack, ALICE.0, &mark);
    let received = stack.mailbox(ALICE).wait_for_message(&mark);
    assert!(received.contains("Received: from client.outside.test"), "{received}");
    assert!(received.contains("Authentication-Results: mail.example.test"), "{received}");
}

#[test]
fn mail_for_a_foreign_domain_is_not_relayed() {
    let stack = stack::shared();
    let mut smtp = Smtp::open(stack.address(25));
    smtp.expect("MAIL FROM:<someone@outside.test>", 250);
    let reply = smtp.expect("RCPT TO:<victim@elsewhere.test>", 554);
    assert!(reply.text.contains("Relay access denied"), "{reply:?}");
}

#[test]
fn unknown_recipients_are_refused() {
    let stack = stack::shared();
    let mut smtp = Smtp::open(stack.address(25));
    smtp.expect("MAIL FROM:<someone@outside.test>", 250);
    let reply = smtp.expect("RCPT TO:<nobody-here@example.test>", 550);
    assert!(reply.text.contains("5.1.1"), "{reply:?}");
}

#[test]
fn letters_that_look_alike_are_other_users() {
    let stack = stack::shared();
    let mut smtp = Smtp::open(stack.address(25));
    smtp.expect("MAIL FROM:<someone@outside.test> SMTPUTF8", 250);
    let reply = smtp.expect("RCPT TO:<ålice@example.test>", 550);
    assert!(reply.text.contains("5.1.1"), "{reply:?}");
}

#[test]
fn postmaster_and_abuse_have_a_reader() {
    let stack = stack::shared();
    for name in ["postmaster", "abuse"] {
        let mark = mark(name);
        deliver(&stack, &format!("{name}@example.test"), &mark);
        stack.mailbox(POSTMASTER).wait_for_message(&mark);
    }
}

#[test]
fn a_message_keeps_its_bytes() {
    let stack = stack::shared();
    let mark = mark("bytes");
    let body = format!("{}\n.a line that starts with a dot\n..two\nlast: {mark}\n", message(ALICE.0, ALICE.0, &mark));
    let mut smtp = Smtp::open(stack.address(25));
    let reply = smtp.send("someone@outside.test", ALICE.0, &body.replace(ALICE.0, "someone@outside.test"));
    assert_eq!(reply.code, 250, "{reply:?}");
    let received = stack.mailbox(ALICE).wait_for_message(&mark).replace("\r\n", "\n");
    assert!(received.contains("\n.a line that starts with a dot\n..two\nlast: "), "{received}");
}
