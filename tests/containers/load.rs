//! Many clients at once.

use std::time::Duration;

use openssl::ssl::{SslConnector, SslMethod, SslVerifyMode};

use crate::common::smtp::Smtp;
use crate::common::{engine, wait_for};
use crate::stack::{self, ALICE, BOB, message};

const SENDERS: usize = 20;

/// All at once ask for the same key, which doesn't exist.
#[test]
fn signed_mail_of_many_senders_at_once_is_accepted() {
    // They take all connections that one address may have.
    let stack = stack::exclusive();
    let signature = "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=outside.test; s=none; h=from:to;\n \
                     bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=AAAA\n";
    let send = |sender: usize| {
        (0..3)
            .map(|number| {
                let message = message("someone@outside.test", BOB.0, &format!("burst-{sender}-{number}"));
                let mut smtp = Smtp::open(stack.address(25));
                smtp.send("someone@outside.test", BOB.0, &format!("{signature}{message}"))
            })
            .collect::<Vec<_>>()
    };
    let replies: Vec<_> = std::thread::scope(|scope| {
        let send = &send;
        let senders: Vec<_> = (0..SENDERS).map(|sender| scope.spawn(move || send(sender))).collect();
        senders.into_iter().flat_map(|sender| sender.join().unwrap()).collect()
    });
    let refused: Vec<_> = replies.iter().filter(|reply| reply.code != 250).collect();
    assert!(refused.is_empty(), "{} of {}: {:?}", refused.len(), replies.len(), refused.first());
    let arrived = || stack.mailbox(BOB).messages("INBOX").iter().filter(|it| it.contains("Subject: burst-")).count();
    wait_for("all mail of the burst", Duration::from_mins(1), || (arrived() == replies.len()).then_some(()));
}

/// A process for each would need more memory than the container has.
#[test]
fn idle_clients_of_submission_are_limited() {
    // Nobody else gets a connection meanwhile.
    let stack = stack::exclusive();
    let container = stack.container("postfix");
    let started = engine::inspect(&container, "{{.State.StartedAt}}");
    let connections: Vec<_> = (0..60).map(|_| Smtp::connect(stack.address(587))).collect();
    let greeted = connections.iter().filter(|(_, greeting)| greeting.code == 220).count();
    let refused = connections.iter().filter(|(_, greeting)| greeting.code == 421).count();
    assert!(
        (10..=20).contains(&greeted) && greeted + refused == connections.len(),
        "{greeted} greeted, {refused} refused"
    );
    let mut smtp = Smtp::open_tls(stack.address(465));
    assert_eq!(smtp.auth(ALICE.0, ALICE.1).code, 235);
    assert_eq!(engine::inspect(&container, "{{.State.StartedAt}}"), started);
}

/// A process for each would need more memory than the container has.
#[test]
fn connections_that_do_nothing_keep_nobody_from_logging_in() {
    let stack = stack::shared();
    let container = stack.container("dovecot");
    let started = engine::inspect(&container, "{{.State.StartedAt}}");
    let mut tls = SslConnector::builder(SslMethod::tls()).unwrap();
    tls.set_verify(SslVerifyMode::NONE);
    let tls = tls.build();
    let connect = || {
        let stream = std::net::TcpStream::connect(stack.address(993)).unwrap();
        tls.connect(stack::HOSTNAME, stream).unwrap()
    };
    let idle: Vec<_> = (0..120).map(|_| connect()).collect();
    let mark = stack::mark("beside-idle-connections");
    stack::deliver(&stack, ALICE.0, &mark);
    stack.mailbox(ALICE).wait_for_message(&mark);
    drop(idle);
    assert_eq!(engine::inspect(&container, "{{.State.StartedAt}}"), started);
}
