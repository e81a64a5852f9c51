//! Where mail goes: aliases, catch-alls, tags, quotas, Sieve scripts.

use std::time::Duration;

use crate::common::smtp::Smtp;
use crate::common::wait_for;
use crate::stack::{self, ALICE, BOB, DOMAIN, deliver, mark, message, new_address};

#[test]
fn a_catch_all_gets_what_nobody_else_does() {
    // Unknown recipients exist meanwhile.
    let stack = stack::exclusive();
    stack.mailimg(&["alias", "add", &format!("@{DOMAIN}"), BOB.0], "");
    let (own, other) = (mark("own"), mark("other"));
    deliver(&stack, ALICE.0, &own);
    deliver(&stack, &format!("whoever@{DOMAIN}"), &other);
    stack.mailbox(ALICE).wait_for_message(&own);
    stack.mailbox(BOB).wait_for_message(&other);
    stack.mailimg(&["alias", "del", &format!("@{DOMAIN}")], "");
    assert!(stack.mailbox(BOB).find("INBOX", &own).is_none());
    assert!(stack.mailbox(ALICE).find("INBOX", &other).is_none());
}

#[test]
fn a_tag_does_not_change_who_gets_mail() {
    let stack = stack::shared();
    let mark = mark("tagged");
    deliver(&stack, &format!("alice+orders@{DOMAIN}"), &mark);
    stack.mailbox(ALICE).wait_for_message(&mark);
}

#[test]
fn users_send_from_their_own_addresses_only() {
    let stack = stack::shared();
    let sales = new_address("sales");
    stack.mailimg(&["alias", "add", &sales, ALICE.0], "");
    for (from, code) in [(ALICE.0, 250), (sales.as_str(), 250), (BOB.0, 553), ("alice@elsewhere.test", 553)] {
        let mut smtp = Smtp::open_tls(stack.address(465));
        assert_eq!(smtp.auth(ALICE.0, ALICE.1).code, 235);
        let reply = smtp.send(from, BOB.0, &message(from, BOB.0, &mark("sender")));
        assert_eq!(reply.code, code, "{from}: {reply:?}");
    }
    stack.mailimg(&["alias", "del", &sales], "");
}

#[test]
fn a_full_mailbox_refuses_mail_before_it_is_sent() {
    let stack = stack::shared();
    let full = stack.new_user("full");
    stack.mailimg(&["user", "set", &full.0, "--quota", "1M"], "");
    let mark = mark("fills-the-mailbox");
    let text = "A line of a long message, which says nothing at all.\n".repeat(30_000);
    let message = format!("{}{text}", message("someone@outside.test", &full.0, &mark));
    assert_eq!(Smtp::open(stack.address(25)).send("someone@outside.test", &full.0, &message).code, 250);
    stack.mailbox((&full.0, full.1)).wait_for_message(&mark);
    let mut smtp = Smtp::open(stack.address(25));
    smtp.expect("MAIL FROM:<someone@outside.test>", 250);
    let reply = smtp.expect(&format!("RCPT TO:<{}>", full.0), 552);
    assert!(reply.text.contains("5.2.2"), "{reply:?}");
}

#[test]
fn a_sieve_script_files_mail_into_a_folder() {
    let stack = stack::shared();
    let dave = stack.new_user("dave");
    let script = r#"require ["fileinto", "mailbox"]; if header :contains "Subject" "newsletter" { fileinto :create "Lists/News"; }"#;
    stack.install_script(&dave.0, script);
    let (news, other) = (mark("newsletter"), mark("letter"));
    deliver(&stack, &dave.0, &news);
    deliver(&stack, &dave.0, &other);
    let mailbox = stack.mailbox((&dave.0, dave.1));
    mailbox.wait_for_message(&other);
    wait_for("mail in the folder", Duration::from_secs(20), || {
        let filed = mailbox.folders().iter().any(|folder| folder.starts_with("Lists/News "));
        filed.then(|| mailbox.find("Lists/News", &news)).flatten()
    });
    assert!(mailbox.find("INBOX", &news).is_none());
}
