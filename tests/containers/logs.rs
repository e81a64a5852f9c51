//! `mailimg logs` on the running server.

use std::time::Duration;

use crate::common::smtp::Smtp;
use crate::common::{engine, wait_for};
use crate::stack::{self, ALICE, deliver, mark};

#[test]
fn a_mail_is_followed_from_one_service_to_the_next() {
    let stack = stack::shared();
    let mark = mark("logged");
    deliver(&stack, ALICE.0, &mark);
    stack.mailbox(ALICE).wait_for_message(&mark);
    let logs = stack.mailimg(&["logs", "dovecot", "postfix", "--since", "5m"], "");
    let lines: Vec<&str> = logs.lines().collect();
    assert!(lines.is_sorted_by_key(|line| line.split(' ').next()), "{logs}");
    let about: Vec<&str> =
        lines.iter().filter(|line| line.contains(&mark)).filter_map(|line| line.split_whitespace().nth(1)).collect();
    assert!(about.starts_with(&["postfix"]) && about.contains(&"dovecot"), "{about:?}\n{logs}");
}

#[test]
fn a_log_outlives_its_container_and_each_line_has_one_time() {
    let stack = stack::exclusive();
    let wrong = (ALICE.0, "wrong-Password");
    let mark = mark("outlives-container");
    deliver(&stack, ALICE.0, &mark);
    stack.mailbox(ALICE).wait_for_message(&mark);
    assert!(!stack.mailbox(wrong).can_login());
    let mut smtp = Smtp::open(stack.address(587));
    smtp.starttls();
    assert_eq!(smtp.auth(wrong.0, wrong.1).code, 535);
    let containers = stack::SERVICES.map(|service| stack.container(service));
    stack.compose(&["up", "-d", "--force-recreate", "--quiet-pull"]);
    for service in stack::SERVICES {
        stack.wait_until_healthy(service);
    }
    assert!(stack::SERVICES.iter().zip(&containers).all(|(service, old)| stack.container(service) != *old));

    let logs = stack.mailimg(&["logs"], "");
    // What a jail needs: who was refused, with the client's address.
    for (service, text) in
        [("postfix", mark.as_str()), ("postfix", "SASL PLAIN authentication failed"), ("dovecot", "auth failed")]
    {
        let found = logs.lines().find(|line| line.split_whitespace().nth(1) == Some(service) && line.contains(text));
        let line = found.unwrap_or_else(|| panic!("no {text:?} of {service} in:\n{logs}"));
        assert!(text == mark || line.contains("rip=1") || line.contains("[1"), "{line}");
    }
    let is_time = |word: &str| word.len() >= 8 && [2, 5].iter().all(|at| word.as_bytes().get(*at) == Some(&b':'));
    let has_more = |line: &&str| line.split_whitespace().skip(2).take(6).any(is_time);
    assert_eq!(logs.lines().filter(has_more).collect::<Vec<_>>(), Vec::<&str>::new());
    // Stopped containers have their logs, too.
    let logs = stack.without_database(|| stack.mailimg(&["logs", "mysql"], ""));
    assert!(logs.contains("Shutdown complete") && logs.matches("ready for connections").count() > 1, "{logs}");
}

#[test]
fn what_a_service_cannot_keep_comes_from_the_engine() {
    let stack = stack::exclusive();
    // The program that keeps the log goes on writing to a file that nobody reads.
    let container = stack.container("postfix");
    let rename = |from: &str, to: &str| engine::docker(["exec", &container, "mv", from, to]);
    rename("/var/log/mailimg/log", "/var/log/mailimg/away");
    let mark = mark("not-kept");
    deliver(&stack, ALICE.0, &mark);
    stack.mailbox(ALICE).wait_for_message(&mark);
    let (succeeded, logs, said) = stack.try_mailimg(&["logs", "postfix", "dovecot", "--since", "5m"], "");
    rename("/var/log/mailimg/away", "/var/log/mailimg/log");
    assert!(succeeded && said.contains("warning: postfix has not been able to keep its log"), "{said}");
    assert!(!said.contains("dovecot"), "{said}");
    let is_about = |line: &&str| line.split_whitespace().nth(1) == Some("postfix") && line.contains(&mark);
    assert!(logs.lines().any(|line| is_about(&line)), "{logs}");
    let (_, logs, said) = stack.try_mailimg(&["logs", "postfix"], "");
    assert!(said.is_empty() && logs.lines().any(|line| is_about(&line)), "{said}{logs}");
}

#[test]
fn health_checks_log_nothing() {
    let stack = stack::shared();
    for service in stack::SERVICES {
        stack.wait_until_healthy(service);
    }
    // Real clients have other addresses, and nobody else asks for this user.
    let signs = ["127.0.0.1", "localhost", "health.invalid"];
    let local = || {
        let logs = stack.mailimg(&["logs"], "");
        logs.lines().filter(|line| signs.iter().any(|sign| line.contains(sign))).count()
    };
    let before = local();
    let mut checks = stack::SERVICES.map(|service| (service, 0, last_check(&stack, service)));
    wait_for("three health checks of each service", Duration::from_mins(2), || {
        for (service, count, last) in &mut checks {
            let next = last_check(&stack, service);
            if next != *last {
                *count += 1;
                *last = next;
            }
        }
        checks.iter().all(|(_, count, _)| *count >= 3).then_some(())
    });
    assert_eq!(local(), before);
}

/// When the last health check ended.
fn last_check(stack: &stack::Stack, service: &str) -> String {
    let times = engine::inspect(&stack.container(service), "{{range .State.Health.Log}}{{println .End}}{{end}}");
    times.lines().last().unwrap_or_default().to_owned()
}

/// The program that prints them goes on meanwhile. It prints some at once, and then one that is the last for long.
#[test]
fn lines_reach_the_engine_soon_and_in_order() {
    let stack = stack::shared();
    let (name, label) = (mark("lines"), format!("{}={}", engine::LABEL, engine::run()));
    let image = stack.image("dovecot");
    let program = "seq 20000; sleep 1; echo the last; sleep 600";
    let options = ["run", "--detach", "--name", &name, "--label", &label, "--entrypoint"];
    let command = ["/usr/local/libexec/mailimg/logged", &image, "sh", "-c", program];
    engine::docker([options.as_slice(), &command].concat());
    let logs = wait_for("the last line", Duration::from_secs(20), || {
        Some(engine::logs(&name)).filter(|logs| logs.ends_with("the last\n"))
    });
    engine::docker(["rm", "--force", "--volumes", &name]);
    let numbers: Vec<_> = logs.lines().take(20_000).map(str::to_owned).collect();
    assert_eq!(numbers, (1..=20_000).map(|number| number.to_string()).collect::<Vec<_>>());
    assert_eq!(logs.lines().count(), 20_001);
}
