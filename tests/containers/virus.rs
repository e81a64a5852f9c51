//! Viruses, and what happens while mail can't be scanned.

use base64::Engine as _;
use lettre::Transport as _;
use lettre::message::header::ContentType;
use lettre::message::{Attachment, Message, SinglePart};
use lettre::transport::smtp::authentication::Mechanism;

use crate::common::smtp::Smtp;
use crate::stack::{self, ALICE, BOB, FETCHED_VIRUS, deliver, eicar, mark, message};
use crate::submission::client;

#[test]
fn a_virus_from_outside_is_refused() {
    // One detected by the image's own signature, one by a fetched signature.
    for virus in [eicar(), FETCHED_VIRUS.to_owned()] {
        refuses(&virus);
    }
}

fn refuses(virus: &str) {
    let stack = stack::shared();
    let mark = mark("virus");
    let attachment = base64::engine::general_purpose::STANDARD.encode(virus);
    let headers = message("someone@outside.test", ALICE.0, &mark);
    let headers = headers.trim_end().trim_end_matches("Hello.").trim_end();
    let mail = format!(
        "{headers}\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\n\n\
         Look at this.\n--b\nContent-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n\
         Content-Disposition: attachment; filename=eicar.com\n\n{attachment}\n--b--\n"
    );
    let mut smtp = Smtp::open(stack.address(25));
    let reply = smtp.send("someone@outside.test", ALICE.0, &mail);
    assert_eq!(reply.code, 550, "{reply:?}");
    assert!(stack.mailbox(ALICE).find("INBOX", &mark).is_none());
}

#[test]
fn a_virus_from_our_own_user_is_refused() {
    let stack = stack::shared();
    let attachment =
        Attachment::new("eicar.com".to_owned()).body(eicar(), ContentType::parse("application/octet-stream").unwrap());
    let mail = Message::builder()
        .from(ALICE.0.parse().unwrap())
        .to(BOB.0.parse().unwrap())
        .subject(mark("virus"))
        .multipart(
            lettre::message::MultiPart::mixed()
                .singlepart(SinglePart::plain("Look at this.".to_owned()))
                .singlepart(attachment),
        )
        .unwrap();
    let error = client(&stack, 465, Mechanism::Plain, ALICE).send(&mail).unwrap_err();
    assert_eq!(error.status().map(|code| code.to_string()), Some("550".to_owned()), "{error}");
}

#[test]
fn while_the_scanner_is_away_mail_is_deferred() {
    let stack = stack::exclusive();
    stack.compose(&["stop", "-t", "10", "clamav"]);
    let mut smtp = Smtp::open(stack.address(25));
    let reply = smtp.send("someone@outside.test", ALICE.0, &message("someone@outside.test", ALICE.0, "deferred"));
    stack.compose(&["start", "clamav"]);
    stack.wait_until_healthy("clamav");
    assert_eq!(reply.code, 451, "{reply:?}");
    // Afterwards, it is accepted.
    let mark = mark("after-the-scanner-was-away");
    deliver(&stack, ALICE.0, &mark);
    stack.mailbox(ALICE).wait_for_message(&mark);
}
