//! Containers are killed while mail flows.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use lettre::address::Envelope;
use lettre::transport::smtp::client::Tls;
use lettre::{SmtpTransport, Transport as _};

use crate::common::{count, engine, wait_for};
use crate::load::{in_parallel, subjects};
use crate::stack::{self, BOB, Stack, mark, message};

const SENDERS: usize = 20;
/// At the same time: `lmtp` in master.cf.
const DELIVERIES: usize = 6;
const FROM: &str = "someone@outside.test";

/// A server that is told 250 never sends a mail again, and one that isn't told tries again, with another mark here. Only
/// a mail that Dovecot is storing when it is killed may arrive twice: Postfix can't know that it is there.
#[test]
fn accepted_mail_arrives_while_containers_are_killed() {
    let stack = stack::exclusive();
    let (run, mails) = (mark("chaos"), count(100, 1000));
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let began = Instant::now();
    let (kills, accepted) = std::thread::scope(|scope| {
        let killer = scope.spawn(|| kill_and_start(&stack, || done.load(Ordering::Relaxed) == SENDERS));
        let accepted = in_parallel(SENDERS, |_| {
            let mut accepted = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= mails {
                    break;
                }
                accepted.push(send_until_accepted(stack.address(25), &format!("{run}-{number:04}")));
            }
            done.fetch_add(1, Ordering::Relaxed);
            accepted
        });
        (killer.join().unwrap(), accepted.concat())
    });
    let sent = began.elapsed();
    empty_queue(&stack);
    let arrived = subjects(&stack, &run);
    let copies: Vec<_> = accepted.iter().map(|mark| arrived.get(mark).copied().unwrap_or_default()).collect();
    let (lost, twice) = (copies.iter().filter(|it| **it == 0).count(), copies.iter().filter(|it| **it > 1).count());
    eprintln!(
        "{mails} mails accepted in {sent:.1?} while containers were killed {kills:?}: {lost} lost, {twice} more than \
         once, all there after {:.1?}",
        began.elapsed()
    );
    assert_eq!((accepted.len(), lost), (mails, 0));
    assert!(twice <= DELIVERIES * kills.get("dovecot").unwrap_or(&0), "{twice} twice, {kills:?}");
    assert!(kills.values().sum::<usize>() > 0);
}

/// Kills one container after the other and starts it again. Returns how often it killed which.
fn kill_and_start(stack: &Stack, is_enough: impl Fn() -> bool) -> BTreeMap<&'static str, usize> {
    let mut kills = BTreeMap::new();
    while !is_enough() {
        let mut services = stack::SERVICES;
        fastrand::shuffle(&mut services);
        for service in services.into_iter().take_while(|_| !is_enough()) {
            std::thread::sleep(Duration::from_millis(fastrand::u64(4_000..9_000)));
            let container = stack.container(service);
            engine::docker(["kill", &container]);
            engine::docker(["start", &container]);
            *kills.entry(service).or_default() += 1;
        }
    }
    for service in stack::SERVICES {
        stack.wait_until_healthy(service);
    }
    kills
}

/// Returns the mark of the attempt that was accepted.
fn send_until_accepted(server: SocketAddr, mark: &str) -> String {
    let client = SmtpTransport::builder_dangerous(server.ip().to_string())
        .port(server.port())
        .tls(Tls::None)
        .timeout(Some(Duration::from_mins(1)))
        .build();
    let envelope = Envelope::new(Some(FROM.parse().unwrap()), vec![BOB.0.parse().unwrap()]).unwrap();
    let began = Instant::now();
    let mut attempt = 0;
    loop {
        attempt += 1;
        let mark = format!("{mark}-{attempt}");
        match client.send_raw(&envelope, message(FROM, BOB.0, &mark).as_bytes()) {
            Ok(_) => return mark,
            Err(error) => assert!(began.elapsed() < Duration::from_mins(5), "{mark}: {error}"),
        }
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// Lets Postfix try now what it would only try again after some minutes.
fn empty_queue(stack: &Stack) {
    wait_for("Postfix's queue to be empty", Duration::from_mins(5), || {
        let container = stack.container("postfix");
        engine::exec(&container, &["postqueue", "-f"]);
        std::thread::sleep(Duration::from_secs(2));
        let (_, queue) = engine::exec(&container, &["postqueue", "-p"]);
        queue.contains("Mail queue is empty").then_some(())
    });
}
