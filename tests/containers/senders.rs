//! Forged senders, and DNS that doesn't answer. The name server's answers are cached for a while, so each test has its
//! own names.

use std::time::{Duration, Instant};

use lettre::Transport as _;
use lettre::transport::smtp::authentication::Mechanism;
use mail_auth::common::crypto::{RsaKey, Sha256};
use mail_auth::common::headers::HeaderWriter as _;
use mail_auth::dkim::DkimSigner;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;

use crate::common::dns::Record;
use crate::common::engine;
use crate::common::smtp::{Reply, Smtp};
use crate::stack::{self, ALICE, BOB, DOMAIN, EXEMPT, SHOP, Stack, mark, message, new_address};
use crate::submission::{client, mail};

/// Every address that a container's network may have, so that the tests' own mail passes SPF.
const SPF: &str = "v=spf1 ip4:10.0.0.0/8 ip4:172.16.0.0/12 ip4:192.168.0.0/16 -all";
const FOREIGN_SPF: &str = "v=spf1 ip4:192.0.2.1 -all";
const REJECT: &str = "v=DMARC1; p=reject";

fn publish(stack: &Stack, name: &str, text: &str) {
    stack.dns.add(name, Record::Txt(text.to_owned()));
}

/// Publishes the stack's own DKIM key as that of another domain.
fn publish_key(stack: &Stack, domain: &str) {
    publish(stack, &format!("mail._domainkey.{domain}"), &crate::dkim::record(stack));
}

/// Signs with the stack's own DKIM key.
pub fn signed(stack: &Stack, domain: &str, message: &str) -> String {
    let pem = stack.project.read(format!("secrets/dkim/mail.{DOMAIN}.pem"));
    let key = RsaKey::<Sha256>::from_key_der(PrivateKeyDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap();
    let message = message.replace('\n', "\r\n");
    let signer = DkimSigner::from_key(key).domain(domain).selector("mail").headers(["From", "To", "Subject"]);
    format!("{}{message}", signer.sign(message.as_bytes()).unwrap().to_header()).replace("\r\n", "\n")
}

/// Mail to Alice from a stranger: its envelope's sender, and the whole message.
fn stranger(stack: &Stack, sender: &str, message: &str) -> Reply {
    Smtp::open(stack.address(25)).send(sender, ALICE.0, message)
}

fn is_refused(reply: &Reply) {
    assert_eq!(reply.code, 550, "{reply:?}");
    assert!(reply.text.contains("5.7.26"), "{reply:?}");
}

#[test]
fn a_policy_of_rejection_is_enforced() {
    let stack = stack::shared();
    publish(&stack, "_dmarc.bank.example", REJECT);
    publish(&stack, "spf.bank.example", SPF);
    publish_key(&stack, "bank.example");
    let text = |mark: &str| message("boss@bank.example", ALICE.0, mark);

    is_refused(&stranger(&stack, "someone@outside.test", &text("unaligned")));

    let mark_spf = mark("aligned-by-spf");
    let reply = stranger(&stack, "boss@spf.bank.example", &text(&mark_spf));
    assert_eq!(reply.code, 250, "{reply:?}");
    let received = stack.mailbox(ALICE).wait_for_message(&mark_spf);
    assert!(received.contains("dmarc=pass (p=reject"), "{received}");

    let mark_dkim = mark("aligned-by-dkim");
    let signed = signed(&stack, "bank.example", &text(&mark_dkim));
    let reply = stranger(&stack, "someone@outside.test", &signed);
    assert_eq!(reply.code, 250, "{reply:?}");
    let received = stack.mailbox(ALICE).wait_for_message(&mark_dkim);
    assert!(received.contains("dkim=pass") && received.contains("dmarc=pass (p=reject"), "{received}");

    is_refused(&stranger(&stack, "someone@outside.test", &signed.replace("Hello.", "Hullo.")));
}

/// OpenDKIM prints these tags among its results, the identity decoded.
#[test]
fn results_hidden_in_a_signature_are_refused() {
    let stack = stack::shared();
    let text = message(ALICE.0, ALICE.0, "forged");
    for tags in [
        "d=outside.test; i=x=3B=20dkim=3Dpass=20header.d=3Dexample.test=40outside.test",
        "d=outside.test; i==3b@outside.test",
        "d=example.test(x.outside.test",
        "d=outside.test; i=a)@outside.test",
    ] {
        let signature = format!("DKIM-Signature: v=1; a=rsa-sha256; s=mail; h=from;\n {tags};\n bh=MTIz; b=MTIz\n");
        let reply = stranger(&stack, "someone@outside.test", &format!("{signature}{text}"));
        assert_eq!(reply.code, 550, "{tags}: {reply:?}");
        assert!(reply.text.contains("special characters"), "{reply:?}");
    }
}

/// OpenDMARC understands comments, quotes and spaces in the name of the server that states results.
#[test]
fn forged_results_do_not_help_against_a_policy() {
    let stack = stack::shared();
    publish(&stack, "_dmarc.bank.example", REJECT);
    let text = message("boss@bank.example", ALICE.0, "forged");
    for server in [
        "mail.example.test",
        "(;) mail.example.test",
        "mail . example . test",
        "mail\\.example.test",
        "mail.(x)example.test",
        "\"mail.example.test\"",
        "mail.example.test 1",
    ] {
        let forged = format!("Authentication-Results: {server}; dkim=pass header.d=bank.example\n");
        is_refused(&stranger(&stack, "someone@outside.test", &format!("{forged}{text}")));
    }
    let forged = "Received-SPF: pass (mail.example.test: designated) client-ip=192.0.2.1;\n \
                  envelope-from=\"boss@bank.example\"; helo=client.outside.test; receiver=mail.example.test\n";
    is_refused(&stranger(&stack, "boss@bank.example", &format!("{forged}{text}")));
}

/// No policy for our domain is published.
#[test]
fn strangers_can_not_send_in_our_domains() {
    let stack = stack::shared();
    let text = |from: &str, mark: &str| message(from, ALICE.0, mark);
    for from in [ALICE.0, "alice@below.example.test", "alice@EXAMPLE.test"] {
        for sender in ["someone@outside.test", ""] {
            is_refused(&stranger(&stack, sender, &text(from, "forged")));
        }
    }
    let shop = text(&format!("sales@below.{SHOP}"), "signed");
    publish_key(&stack, "outside.example");
    is_refused(&stranger(&stack, "someone@outside.test", &signed(&stack, "outside.example", &shop)));
    publish_key(&stack, SHOP);
    let reply = stranger(&stack, "someone@outside.test", &signed(&stack, SHOP, &shop));
    assert_eq!(reply.code, 250, "{reply:?}");

    publish(&stack, "spf.example.test", SPF);
    let reply = stranger(&stack, "alice@spf.example.test", &text(ALICE.0, "ours-by-spf"));
    assert_eq!(reply.code, 250, "{reply:?}");

    publish(&stack, SHOP, SPF);
    let sales = format!("sales@{SHOP}");
    let reply = stranger(&stack, &sales, &text(&sales, "the-same-domain"));
    assert_eq!(reply.code, 250, "{reply:?}");
    let quoted = "\"x ;spf=pass smtp.mailfrom=example.test ;\"@outside.test";
    is_refused(&stranger(&stack, quoted, &text(ALICE.0, "quoted")));

    for from in [format!("editor@{EXEMPT}"), format!("editor@daily.{EXEMPT}")] {
        let reply = stranger(&stack, "someone@outside.test", &text(&from, "exempt"));
        assert_eq!(reply.code, 250, "{reply:?}");
    }
}

#[test]
fn users_sign_only_their_own_from() {
    let stack = stack::shared();
    let alias = &new_address("sales");
    stack.mailimg(&["alias", "add", alias, ALICE.0], "");
    let send = |sender: &str, from: &str| {
        let mut smtp = Smtp::open(stack.address(587));
        smtp.starttls();
        assert_eq!(smtp.auth(ALICE.0, ALICE.1).code, 235);
        smtp.send(sender, BOB.0, &message(from, BOB.0, &mark("from")))
    };
    for (sender, from) in
        [(ALICE.0, BOB.0), ("", BOB.0), (alias, "boss@bank.example"), (ALICE.0, "a@b.test>, <c@d.test")]
    {
        let reply = send(sender, from);
        assert_eq!(reply.code, 550, "{sender} {from}: {reply:?}");
        assert!(reply.text.contains("From"), "{reply:?}");
    }
    for (sender, from) in [(ALICE.0, ALICE.0), (alias, alias), (alias, "Alice@Example.test"), ("", ALICE.0)] {
        let reply = send(sender, from);
        assert_eq!(reply.code, 250, "{sender} {from}: {reply:?}");
    }
    stack.mailimg(&["alias", "del", alias], "");
}

#[test]
fn mail_to_be_quarantined_lands_in_junk_and_other_mail_where_users_want_it() {
    let stack = stack::shared();
    publish(&stack, "_dmarc.quarantine.test", "v=DMARC1; p=quarantine");
    let dora = stack.new_user("dora");
    let mailbox = stack.mailbox((&dora.0, dora.1));
    stack.install_script(&dora.0, "require \"fileinto\";\nfileinto \"Drafts\";\n");
    let send = |from: &str, more: &str| {
        let mark = mark("quarantine");
        let text = format!("{more}{}", message(from, &dora.0, &mark));
        let reply = Smtp::open(stack.address(25)).send("someone@outside.test", &dora.0, &text);
        assert_eq!(reply.code, 250, "{reply:?}");
        mark
    };
    let wait_in = |folder: &str, mark: &str| {
        crate::common::wait_for(&format!("{mark} in {folder}"), Duration::from_secs(30), || mailbox.find(folder, mark))
    };
    wait_in("Junk", &send("boss@quarantine.test", ""));
    let forged = "Authentication-Results : mail.example.test; dmarc=fail (p=quarantine dis=none) header.from=x.test\n\
        Authentication-Results: mx.test; mail.example.test; dmarc=fail (p=quarantine dis=none) header.from=x.test\n";
    wait_in("Drafts", &send("someone@outside.test", forged));
    let log = engine::logs(&stack.container("dovecot"));
    assert!(!log.lines().any(|line| line.contains("sieve") && line.contains("rror")), "{log}");
}

/// The reply to mail that depends on a DNS answer that doesn't come.
fn is_asked_to_try_later(send: impl Fn() -> Reply) {
    let start = Instant::now();
    let reply = send();
    let took = start.elapsed();
    eprintln!("{took:.1?}: {reply:?}");
    assert_eq!(reply.code, 451, "{reply:?}");
    assert!(reply.text.contains("DNS"), "{reply:?}");
    assert!(took < Duration::from_mins(1), "{took:?}");
}

#[test]
fn a_dkim_key_that_does_not_come_is_asked_for_again() {
    let stack = stack::exclusive();
    publish(&stack, "_dmarc.silent-key.example", REJECT);
    stack.dns.add("mail._domainkey.silent-key.example", Record::Silence);
    let text = signed(&stack, "silent-key.example", &message("boss@silent-key.example", ALICE.0, "silent-key"));
    is_asked_to_try_later(|| stranger(&stack, "someone@outside.test", &text));
}

#[test]
fn an_spf_record_that_does_not_come_is_asked_for_again() {
    let stack = stack::exclusive();
    publish(&stack, "_dmarc.silent-spf.test", REJECT);
    stack.dns.add("silent-spf.test", Record::Silence);
    publish(&stack, "include.silent-spf.test", "v=spf1 include:silent-spf.test -all");
    publish(&stack, "other.silent-spf.test", FOREIGN_SPF);
    let text = message("boss@silent-spf.test", ALICE.0, "silent-spf");
    is_asked_to_try_later(|| stranger(&stack, "boss@silent-spf.test", &text));
    is_asked_to_try_later(|| stranger(&stack, "boss@include.silent-spf.test", &text));
    is_refused(&stranger(&stack, "boss@other.silent-spf.test", &text));
}

#[test]
fn a_policy_that_does_not_come_is_asked_for_again() {
    let stack = stack::exclusive();
    stack.dns.add("_dmarc.silent-policy.test", Record::Silence);
    for from in ["boss@silent-policy.test", "boss@below.silent-policy.test"] {
        let text = message(from, ALICE.0, "silent-policy");
        is_asked_to_try_later(|| stranger(&stack, "someone@outside.test", &text));
    }
}

/// The tests' name server has no signatures, which only the domains in `insecure` may lack.
#[test]
fn answers_without_dnssec_are_not_believed() {
    let stack = stack::shared();
    publish(&stack, "unsigned.example", SPF);
    publish(&stack, "_dmarc.unsigned.example", "v=DMARC1; p=none");
    let text = message("boss@unsigned.example", ALICE.0, "unsigned");
    is_asked_to_try_later(|| stranger(&stack, "boss@unsigned.example", &text));
}

#[test]
fn without_dns_strangers_wait_and_users_go_on() {
    let stack = stack::exclusive();
    stack.dns.set_silent(true);
    for from in ["boss@unreachable.test", ALICE.0] {
        let text = message(from, ALICE.0, "unreachable");
        is_asked_to_try_later(|| stranger(&stack, "boss@unreachable.test", &text));
    }
    let mark = mark("without-dns");
    client(&stack, 587, Mechanism::Plain, ALICE).send(&mail(ALICE.0, BOB.0, &mark)).unwrap();
    stack.mailbox(BOB).wait_for_message(&mark);
    stack.dns.set_silent(false);
    crate::common::wait_for("strangers to be heard again", Duration::from_mins(2), || {
        let text = message("boss@unreachable.test", ALICE.0, "reachable");
        (stranger(&stack, "boss@unreachable.test", &text).code == 250).then_some(())
    });
}
