//! What happens when programs die.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::common::smtp::Smtp;
use crate::common::{count, engine, wait_for};
use crate::stack::{self, ALICE, DOMAIN, FOUND, LOST, Stack, deliver, kill, mark};

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

/// Nobody is told that the password is wrong, and no process that couldn't connect fails anything afterwards.
#[test]
fn senders_and_users_try_again_while_the_database_is_away() {
    let stack = stack::exclusive();
    let mark = mark("without-database");
    let message = stack::message("someone@outside.test", ALICE.0, &mark);
    let send = || Smtp::open(stack.address(25)).send("someone@outside.test", ALICE.0, &message);
    let is_back = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Users try to log in for all that time, and while the processes are replaced.
        let trying = scope.spawn(|| {
            let (began, mut replies) = (Instant::now(), BTreeMap::new());
            while !is_back.load(Ordering::Relaxed) && began.elapsed() < Duration::from_mins(3) {
                for code in logins_at_once(&stack, 4) {
                    *replies.entry(code).or_insert(0) += 1;
                }
            }
            replies
        });
        let while_away =
            stack.without_database(|| (send(), [logins_at_once(&stack, 8), logins_at_once(&stack, 8)].concat()));
        is_back.store(true, Ordering::Relaxed);
        assert_eq!(while_away.0.code, 451, "{while_away:?}");
        assert!(while_away.1.iter().all(|code| *code == 454), "{while_away:?}");
        let replies = trying.join().unwrap();
        assert!(replies.keys().all(|code| [235, 454].contains(code)), "{replies:?}");
    });

    let logins = logins_at_once(&stack, 12);
    assert!(logins.iter().all(|code| *code == 235), "{logins:?}");
    assert!(stack.mailbox(ALICE).can_login());
    wait_for("mail to be accepted again", Duration::from_secs(30), || (send().code == 250).then_some(()));
    stack.mailbox(ALICE).wait_for_message(&mark);
}

/// The replies to so many logins that begin at the same moment.
fn logins_at_once(stack: &Stack, number: usize) -> Vec<u16> {
    let login = || {
        let mut smtp = Smtp::open(stack.address(587));
        smtp.starttls();
        smtp.auth(ALICE.0, ALICE.1).code
    };
    std::thread::scope(|scope| {
        let logins: Vec<_> = (0..number).map(|_| scope.spawn(login)).collect();
        logins.into_iter().map(|login| login.join().unwrap()).collect()
    })
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

/// If Dovecot 2.4 stops all processes that check passwords while logins are waiting, it starts no others. Only `--long`
/// waits until idle ones would be stopped.
#[test]
fn processes_that_check_passwords_stay_and_are_replaced_if_they_hang() {
    let stack = stack::exclusive();
    let container = stack.container("dovecot");
    let titled = |title: &str| {
        let processes = stack::processes(&container).into_iter();
        processes.filter(|process| process.title.trim_end() == title).collect::<Vec<_>>()
    };
    let workers = || titled("dovecot/auth -w");
    assert_eq!(stack.dovecots_health(), (true, String::new()));
    let setting = engine::exec(&container, &["doveconf", "-h", "service/auth-worker/idle_kill_interval"]);
    assert_eq!(setting, (true, "infinite\n".to_owned()));
    let before = workers();
    // The default is a minute.
    std::thread::sleep(Duration::from_secs(count(0, 65) as u64));
    let after = workers();
    assert!(!before.is_empty() && before.iter().all(|worker| after.contains(worker)), "{before:?} {after:?}");

    let (lost, found) = (stack.said_in_dovecot(LOST), stack.said_in_dovecot(FOUND));
    for process in titled("dovecot/auth") {
        stack::signal(&container, "STOP", &process);
    }
    wait_for("the watch to notice", Duration::from_secs(70), || (stack.said_in_dovecot(LOST) > lost).then_some(()));
    wait_for("Dovecot to answer", Duration::from_secs(30), || (stack.said_in_dovecot(FOUND) > found).then_some(()));
    assert!(engine::logs(&container).contains(&format!("{LOST}: no answer within 45 seconds")));
    assert_eq!(logins_at_once(&stack, 1), [235]);
    assert_eq!(stack.dovecots_health(), (true, String::new()));
}
