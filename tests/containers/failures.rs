//! What happens when programs die.

use std::time::Duration;

use crate::common::{engine, wait_for};
use crate::stack::{self, ALICE, Stack, deliver, mark};

/// Kills a program in a service's container, by its name. Not by an applet: an image may have none for it.
fn kill(stack: &Stack, service: &str, program: &str) {
    let script = format!(
        "found=1; for p in /proc/[0-9]*; do read -r name <$p/comm || continue; \
         [ \"$name\" != {program} ] || {{ kill -9 ${{p#/proc/}} && found=0; }}; done 2>/dev/null; exit $found"
    );
    let container = stack.container(service);
    let output = engine::try_docker(["exec", "--privileged", "--user", "0", &container, "sh", "-c", &script]);
    assert!(output.status.success(), "no {program} to kill: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn an_essential_program_takes_its_container_with_it() {
    let stack = stack::exclusive();
    for (service, program) in
        [("mysql", "mariadbd"), ("clamav", "clamd"), ("dovecot", "dovecot"), ("postfix", "master")]
    {
        let container = stack.container(service);
        let restarts = |_: ()| engine::inspect(&container, "{{.RestartCount}}").parse::<u32>().unwrap();
        let before = restarts(());
        kill(&stack, service, program);
        wait_for(&format!("{service} to be restarted after {program} died"), Duration::from_secs(60), || {
            (restarts(()) > before).then_some(())
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
    kill(&stack, "postfix", "opendkim");
    let mark = mark("after-opendkim-died");
    wait_for("opendkim to come back", Duration::from_secs(30), || {
        let mut smtp = crate::common::smtp::Smtp::open(stack.address(25));
        let message = stack::message("someone@outside.test", ALICE.0, &mark);
        (smtp.send("someone@outside.test", ALICE.0, &message).code == 250).then_some(())
    });
    assert_eq!(engine::inspect(&container, "{{.State.StartedAt}}"), started, "the container itself was restarted");
}
