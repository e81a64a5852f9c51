//! Mail from strangers, on port 25.

use crate::common::smtp::Smtp;
use crate::stack::{self, ALICE, HOSTNAME, POSTMASTER, deliver, headers, mark, message};

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
    smtp.expect("MAIL FROM:<someone@outside.test>", 250);
    let reply = smtp.expect("RCPT TO:<ålice@example.test>", 550);
    assert!(reply.text.contains("5.1.1"), "{reply:?}");
}

/// Dovecot's LMTP server lacks SMTPUTF8: mail that needs it would be accepted, then bounced.
#[test]
fn what_the_mailboxes_cannot_take_is_not_offered() {
    let stack = stack::shared();
    let (mut smtp, _) = Smtp::connect(stack.address(25));
    let offered = smtp.expect("EHLO client.outside.test", 250).text;
    assert!(offered.contains("8BITMIME") && !offered.contains("SMTPUTF8"), "{offered}");
}

/// DMARC is about the domain in From: with two of them, one could pass and the other be shown.
#[test]
fn mail_from_several_senders_is_refused() {
    let stack = stack::shared();
    let whole = message("someone@outside.test", ALICE.0, &mark("from"));
    for from in [
        "From: <someone@outside.test>, <boss@example.test>\n",
        "From: <someone@outside.test>\nFrom: <boss@example.test>\n",
        "",
    ] {
        let message = whole.replacen("From: <someone@outside.test>\n", from, 1);
        let reply = Smtp::open(stack.address(25)).send("someone@outside.test", ALICE.0, &message);
        assert_eq!(reply.code / 100, 5, "{from:?}: {reply:?}");
    }
}

#[test]
fn a_forged_result_of_our_own_checks_is_removed() {
    let stack = stack::shared();
    let mark = mark("forged");
    let forged = ["", " (as they say)\n ", "\n\t"].map(|space| {
        format!("Authentication-Results:{space} mail.example.test; dkim=pass header.d=bank.example;\n spf=pass\n")
    });
    let foreign = "Authentication-Results: mx.elsewhere.test; dkim=none\n";
    let message = format!("{}{foreign}{}", forged.concat(), message("someone@outside.test", ALICE.0, &mark));
    let reply = Smtp::open(stack.address(25)).send("someone@outside.test", ALICE.0, &message);
    assert_eq!(reply.code, 250, "{reply:?}");
    let received = stack.mailbox(ALICE).wait_for_message(&mark);
    assert!(!received.contains("bank.example"), "{received}");
    assert!(received.contains("mx.elsewhere.test") && received.contains("spf=none"), "{received}");
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
fn a_header_arrives_whole_or_is_refused() {
    let stack = stack::shared();
    let header = |length: usize| {
        let lines = vec!["x".repeat(98); length / 100];
        format!("X-Long: {}\n end-of-header", lines.join("\n "))
    };
    for (length, code) in [(56_000, 250), (58_500, 552), (61_000, 552), (150_000, 552)] {
        let mark = mark("long-header");
        let message = |from| format!("{}\n{}", header(length), message(from, ALICE.0, &mark));
        let reply =
            Smtp::open(stack.address(25)).send("someone@outside.test", ALICE.0, &message("someone@outside.test"));
        assert_eq!(reply.code, code, "{length}: {reply:?}");
        assert!(code == 250 || reply.text.contains("the header X-Long is longer than 57000 bytes"), "{reply:?}");
        let mut smtp = Smtp::open(stack.address(587));
        smtp.starttls();
        assert_eq!(smtp.auth(ALICE.0, ALICE.1).code, 235);
        assert_eq!(smtp.send(ALICE.0, ALICE.0, &message(ALICE.0)).code, code, "{length}");
        if code == 250 {
            let received = stack.mailbox(ALICE).wait_for_message(&mark).replace("\r\n", "\n");
            assert!(received.contains(&header(length)), "cut: {} bytes", received.len());
        }
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

/// What other servers found out about it is part of what its sender has signed.
#[test]
fn an_attached_message_keeps_its_headers() {
    let stack = stack::shared();
    let mark = mark("attached");
    let headers = headers("someone@outside.test", ALICE.0, &mark);
    let attached =
        format!("Received-SPF: pass (elsewhere)\nAuthentication-Results: {HOSTNAME}; spf=pass\nSubject: inner");
    let mail = format!(
        "{headers}MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\n\n\
         {attached}\n\nHello.\n--b--\n"
    );
    let reply = Smtp::open(stack.address(25)).send("someone@outside.test", ALICE.0, &mail);
    assert_eq!(reply.code, 250, "{reply:?}");
    let arrived = stack.mailbox(ALICE).wait_for_message(&mark).replace('\r', "");
    assert!(arrived.contains(&attached), "{arrived}");
}
