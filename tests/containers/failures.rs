//! What happens when programs die.

use std::time::Duration;

use crate::common::{engine, wait_for};
use crate::stack::{self, ALICE, deliver, kill, mark};

#[test]
fn an_essential_program_takes_its_container_with_it() {
    let stack = stack::exclusive();
    for (service, program) in
        [("mysql", "mariadbd"), ("clamav", "clamd"), ("dovecot", "dovecot"), ("postfix", "master")]
    {
        let container = stack.container(service);
        let restarts = || engine::inspect(&container, "{{.RestartCount}}").parse::<u32>().unwrap();
        let before = restarts();
        kill(&container, program);
        wait_for(&format!("{service} to be restarted after {program} died"), Duration::from_mins(1), || {
            (restarts() > before).then_some(())
        });
        stack.wait_until_healthy(service);
    }
    let mark = mark("after-the-crashes");
    deliver(&stack, ALICE.0, &mark);
    stack.mailbox(ALICE).wait_for_message(&mark);
}

#[test]
fn a_helper_is_restarted_where_it_is() {
    let stack = stack::exclusive();
    let container = stack.container("postfix");
    let started = engine::inspect(&container, "{{.State.StartedAt}}");
    kill(&container, "opendkim");
    let mark = mark("after-opendkim-died");
    wait_for("opendkim to come back", Duration::from_secs(30), || {
        let mut smtp = crate::common::smtp::Smtp::open(stack.address(25));
        let message = stack::message("someone@outside.test", ALICE.0, &mark);
        (smtp.send("someone@outside.test", ALICE.0, &message).code == 250).then_some(())
    });
    assert_eq!(engine::inspect(&container, "{{.State.StartedAt}}"), started, "the container itself was restarted");
}
