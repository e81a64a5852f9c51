//! Signatures, checked by a verifier that shares no code with the signer.

use std::net::Ipv4Addr;

use lettre::Transport as _;
use lettre::transport::smtp::authentication::Mechanism;
use mail_auth::hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts};
use mail_auth::{AuthenticatedMessage, DkimResult, MessageAuthenticator};

use crate::common::dns::{DnsServer, Record};
use crate::stack::{self, ALICE, BOB, DOMAIN, Stack, mark};
use crate::submission::{client, mail};

/// The TXT record that `mailimg dkim` prints: a line of a zone file, with the text in quoted pieces.
pub fn record(stack: &Stack) -> String {
    let line = stack.project.run(["dkim", DOMAIN]);
    assert!(line.starts_with(&format!("mail._domainkey.{DOMAIN}. IN TXT ")), "{line}");
    line.split('"').skip(1).step_by(2).collect()
}

pub fn verify(message: &str, zone: &DnsServer) -> Vec<DkimResult> {
    let message = AuthenticatedMessage::parse(message.as_bytes()).unwrap();
    ask(zone, async |verifier| {
        verifier.verify_dkim(&message).await.iter().map(|output| output.result().clone()).collect()
    })
}

/// What a verifier finds out with the records of a zone.
pub fn ask<T>(zone: &DnsServer, question: impl AsyncFnOnce(&MessageAuthenticator) -> T) -> T {
    let mut server = ConnectionConfig::udp();
    server.port = zone.address().port();
    let servers = vec![NameServerConfig::new(zone.address().ip(), true, vec![server])];
    let resolver = ResolverConfig::from_parts(None, Vec::new(), servers);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let verifier = MessageAuthenticator::new(resolver, ResolverOpts::default()).unwrap();
        question(&verifier).await
    })
}

#[test]
fn submitted_mail_is_signed_so_that_others_can_verify_it() {
    let stack = stack::shared();
    let zone = DnsServer::start(Ipv4Addr::LOCALHOST.into());
    zone.add(&format!("mail._domainkey.{DOMAIN}"), Record::Txt(record(&stack)));

    let mark = mark("signed");
    client(&stack, 587, Mechanism::Plain, ALICE).send(&mail(ALICE.0, BOB.0, &mark)).unwrap();
    let received = stack.mailbox(BOB).wait_for_message(&mark);
    assert_eq!(verify(&received, &zone), [DkimResult::Pass], "{received}");

    let tampered = received.replace("Hello.", "Hullo.");
    assert_ne!(tampered, received);
    assert_ne!(verify(&tampered, &zone), [DkimResult::Pass]);
}

#[test]
fn mail_from_outside_is_not_signed() {
    let stack = stack::shared();
    let mark = mark("unsigned");
    stack::deliver(&stack, ALICE.0, &mark);
    let received = stack.mailbox(ALICE).wait_for_message(&mark);
    assert!(!received.contains("DKIM-Signature:"), "{received}");
}
