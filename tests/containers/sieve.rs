//! Users' Sieve scripts and the address that a mail was sent to.

use crate::common::smtp::Smtp;
use crate::stack::{self, ALICE, deliver, mark, message, new_address};

#[test]
fn scripts_see_the_alias_and_vacation_answers_for_it() {
    let stack = stack::shared();
    let ((erin, password), shop) = (stack.new_user("erin"), new_address("shop"));
    stack.mailimg(&["alias", "add", &shop, &erin], "");
    let rules = format!(
        "require [\"fileinto\", \"mailbox\", \"vacation\"];\n\
         if header :is \"X-Original-To\" \"{shop}\" {{ fileinto :create \"Shop\"; vacation \"We are closed.\"; }}\n"
    );
    stack.install_script(&erin, &rules);

    let direct = mark("direct");
    deliver(&stack, &erin, &direct);
    let mailbox = stack.mailbox((&erin, password));
    assert!(mailbox.wait_for_message(&direct).contains(&format!("X-Original-To: {erin}")));

    let asked = mark("asked");
    let mut smtp = Smtp::open(stack.address(25));
    let reply = smtp.send(ALICE.0, &shop, &message("someone@outside.test", &shop, &asked));
    assert_eq!(reply.code, 250, "{reply:?}");
    let answer = stack.mailbox(ALICE).wait_for_message(&asked);
    assert!(answer.contains("We are closed.") && answer.contains(&format!("From: <{shop}>")), "{answer}");
    assert!(mailbox.find("Shop", &asked).is_some() && mailbox.find("INBOX", &asked).is_none());
}
