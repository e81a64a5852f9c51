//! Users' Sieve scripts and the address that a mail was sent to.

use crate::common::smtp::Smtp;
use crate::stack::{self, ALICE, DOMAIN, deliver, mark, message};

#[test]
fn scripts_see_the_alias_and_vacation_answers_for_it() {
    let stack = stack::shared();
    let (erin, shop) = (format!("erin@{DOMAIN}"), format!("shop@{DOMAIN}"));
    stack.add_user(&erin, "erin-Password-5");
    stack.mailimg(&["alias", "add", &shop, &erin], "");
    let rules = format!(
        "require [\"fileinto\", \"mailbox\", \"vacation\"];\n\
         if header :is \"X-Original-To\" \"{shop}\" {{ fileinto :create \"Shop\"; vacation \"We are closed.\"; }}\n"
    );
    stack.install_script("erin", &rules);

    let direct = mark("direct");
    deliver(&stack, &erin, &direct);
    let mailbox = stack.mailbox((&erin, "erin-Password-5"));
    assert!(mailbox.wait_for_message(&direct).contains(&format!("X-Original-To: {erin}")));

    let asked = mark("asked");
    let mut smtp = Smtp::open(stack.address(25));
    let reply = smtp.send(ALICE.0, &shop, &message("someone@outside.test", &shop, &asked));
    assert_eq!(reply.code, 250, "{reply:?}");
    let answer = stack.mailbox(ALICE).wait_for_message(&asked);
    assert!(answer.contains("We are closed.") && answer.contains(&format!("From: <{shop}>")), "{answer}");
    assert!(mailbox.find("Shop", &asked).is_some() && mailbox.find("INBOX", &asked).is_none());

    stack.mailimg(&["alias", "del", &shop], "");
    stack.mailimg(&["user", "del", &erin], "");
}
