//! What happens when programs die.

use std::time::Duration;

use crate::common::smtp::Smtp;
use crate::common::{count, engine, wait_for};
use crate::stack::{self, ALICE, DOMAIN, deliver, kill, mark};

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
        let mut smtp = Smtp::open(stack.address(25));
        let message = stack::message("someone@outside.test", ALICE.0, &mark);
        (smtp.send("someone@outside.test", ALICE.0, &message).code == 250).then_some(())
    });
    assert_eq!(engine::inspect(&container, "{{.State.StartedAt}}"), started, "the container itself was restarted");
}

#[test]
fn mail_waits_while_the_mailboxes_are_away() {
    let stack = stack::exclusive();
    stack.compose(&["stop", "-t", "10", "dovecot"]);
    let mark = mark("queued");
    deliver(&stack, ALICE.0, &mark);
    stack.compose(&["start", "dovecot"]);
    stack.wait_until_healthy("dovecot");
    // Postfix would try again by itself after five minutes.
    engine::docker(["exec", &stack.container("postfix"), "postqueue", "-f"]);
    stack.mailbox(ALICE).wait_for_message(&mark);
}

#[test]
fn senders_try_again_while_the_database_is_away() {
    let stack = stack::exclusive();
    stack.compose(&["stop", "-t", "20", "mysql"]);
    let mark = mark("without-database");
    let message = stack::message("someone@outside.test", ALICE.0, &mark);
    let send = || Smtp::open(stack.address(25)).send("someone@outside.test", ALICE.0, &message);
    let while_away = send();
    stack.compose(&["start", "mysql"]);
    stack.wait_until_healthy("mysql");
    assert_eq!(while_away.code, 451, "{while_away:?}");
    wait_for("mail to be accepted again", Duration::from_secs(30), || (send().code == 250).then_some(()));
    wait_for("users to log in again", Duration::from_secs(30), || stack.mailbox(ALICE).can_login().then_some(()));
    stack.mailbox(ALICE).wait_for_message(&mark);
}

#[test]
fn mail_users_and_keys_outlive_the_containers() {
    let stack = stack::exclusive();
    let mark = mark("outlives");
    deliver(&stack, ALICE.0, &mark);
    stack.mailbox(ALICE).wait_for_message(&mark);
    let key = || std::fs::read(stack.project.path().join("secrets/dkim").join(format!("mail.{DOMAIN}.pem"))).unwrap();
    let before = (key(), stack.mailimg(&["user", "list"], ""), stack.container("mysql"));
    stack.compose(&["down"]);
    stack.compose(&["up", "-d", "--quiet-pull"]);
    for service in stack::SERVICES {
        stack.wait_until_healthy(service);
    }
    assert_ne!(stack.container("mysql"), before.2);
    assert_eq!((key(), stack.mailimg(&["user", "list"], "")), (before.0, before.1));
    assert!(stack.mailbox(ALICE).find("INBOX", &mark).is_some());
}

/// If Dovecot 2.4 stops all processes that check passwords while logins are waiting, it never starts another. Only
/// `--long` waits until idle ones would be stopped.
#[test]
fn processes_that_check_passwords_stay_and_the_health_check_notices_if_they_hang() {
    let stack = stack::exclusive();
    let container = stack.container("dovecot");
    let health = || engine::exec(&container, &["/usr/local/libexec/mailimg/health"]);
    let workers = || {
        let processes = stack::processes(&container).into_iter();
        processes.filter(|process| process.title.starts_with("dovecot/auth -w")).collect::<Vec<_>>()
    };
    assert_eq!(health(), (true, String::new()));
    let setting = engine::exec(&container, &["doveconf", "-h", "service/auth-worker/idle_kill_interval"]);
    assert_eq!(setting, (true, "infinite\n".to_owned()));
    let before = workers();
    // The default is a minute.
    std::thread::sleep(Duration::from_secs(count(0, 65) as u64));
    let after = workers();
    assert!(!before.is_empty() && before.iter().all(|worker| after.contains(worker)), "{before:?} {after:?}");

    let signal_all = |signal| {
        for worker in workers() {
            stack::signal(&container, signal, &worker);
        }
    };
    // Dovecot may start another one, up to its limit.
    let reason = wait_for("the health check to fail", Duration::from_mins(1), || {
        signal_all("STOP");
        let (is_healthy, reason) = health();
        (!is_healthy).then_some(reason)
    });
    signal_all("CONT");
    assert!(reason.contains("Dovecot can't look up users: timed out"), "{reason}");
    wait_for("Dovecot to answer", Duration::from_secs(20), || health().0.then_some(()));
}
