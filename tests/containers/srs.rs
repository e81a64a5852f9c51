//! Mail that aliases and Sieve scripts forward to other servers: whose it is there, and where its bounces go.

use std::net::{IpAddr, Ipv4Addr};

use mail_auth::spf::verify::SpfParameters;
use mail_auth::{DkimResult, SpfResult};

use crate::common::dns::{DnsServer, Record};
use crate::common::engine;
use crate::common::smtp::{Reply, Smtp};
use crate::dkim;
use crate::outgoing::{header, submit};
use crate::senders::signed;
use crate::sink::Sink;
use crate::stack::{self, ALICE, BOB, DOMAIN, HOSTNAME, SECOND, Stack, deliver, mark, message, new_address};

/// An alias that forwards mail there, and somewhere else.
fn alias(stack: &Stack, destinations: &[&str]) -> String {
    let alias = new_address("forwarded");
    for destination in destinations {
        stack.mailimg(&["alias", "add", &alias, destination], "");
    }
    alias
}

/// Sends a mail from outside.
fn send(stack: &Stack, from: &str, to: &str, mark: &str) -> Reply {
    Smtp::open(stack.address(25)).send(from, to, &message("someone@outside.test", to, mark))
}

/// The sender with which a mail arrived.
fn sender(mail: &str) -> &str {
    let line = mail.lines().find_map(|line| line.strip_prefix("Return-Path: <"));
    line.unwrap_or_else(|| panic!("no sender in {mail}")).trim_end().strip_suffix('>').unwrap()
}

/// Forwards a mail from a sender, and returns the sender with which it arrives.
fn forward(stack: &Stack, from: &str, target: &Sink) -> String {
    let alias = alias(stack, &[&format!("someone@{}", target.domain)]);
    let mark = mark("forwarded");
    let reply = send(stack, from, &alias, &mark);
    assert_eq!(reply.code, 250, "{reply:?}");
    sender(&target.wait_for(&mark)).to_owned()
}

fn spf(zone: &DnsServer, client: IpAddr, sender: &str) -> SpfResult {
    let mail = SpfParameters::verify_mail_from(client, HOSTNAME, "mx.outside.test", sender);
    dkim::ask(zone, async |verifier| verifier.verify_spf(mail).await.result())
}

#[test]
fn forwarded_mail_passes_spf_and_dkim_and_its_bounce_reaches_the_sender() {
    let stack = stack::shared();
    let (origin, target) = (Sink::start(&stack, "origin"), Sink::start(&stack, "target"));
    let writer = format!("writer+list@{}", origin.domain);
    let alias = alias(&stack, &[&format!("someone@{}", target.domain), BOB.0]);
    let (sent, bounced) = (mark("sent"), mark("bounced"));
    let text = signed(&stack, &origin.domain, &message(&writer, &alias, &sent));
    let reply = Smtp::open(stack.address(25)).send(&writer, &alias, &text);
    assert_eq!(reply.code, 250, "{reply:?}");

    let mail = target.wait_for(&sent);
    let rewritten = sender(&mail);
    assert!(rewritten.starts_with("SRS0="), "{mail}");
    assert!(rewritten.ends_with(&format!("={}=writer+list@{DOMAIN}", origin.domain)), "{mail}");
    // Only the origin's own servers, and only ours.
    let zone = DnsServer::start(Ipv4Addr::LOCALHOST.into());
    let client: IpAddr = header(&mail, "X-Client").trim_start_matches("X-Client:").trim().parse().unwrap();
    zone.add(&origin.domain, Record::Txt("v=spf1 ip4:192.0.2.1 -all".to_owned()));
    zone.add(DOMAIN, Record::Txt(format!("v=spf1 ip4:{client} -all")));
    assert_eq!(spf(&zone, client, rewritten), SpfResult::Pass);
    assert_eq!(spf(&zone, client, &writer), SpfResult::Fail);
    zone.add(&format!("mail._domainkey.{}", origin.domain), Record::Txt(dkim::record(&stack)));
    assert_eq!(dkim::verify(&mail, &zone), [DkimResult::Pass], "{mail}");

    let kept = stack.mailbox(BOB).wait_for_message(&sent);
    assert_eq!(sender(&kept), writer, "{kept}");

    let reply = send(&stack, "", rewritten, &bounced);
    assert_eq!(reply.code, 250, "{reply:?}");
    let mail = origin.wait_for(&bounced);
    assert_eq!(sender(&mail), "", "{mail}");
}

#[test]
fn mail_of_users_and_bounces_keep_their_senders() {
    let stack = stack::shared();
    let target = Sink::start(&stack, "kept");
    let destination = format!("someone@{}", target.domain);
    let alias = alias(&stack, &[&destination]);
    for to in [&alias, &destination] {
        let mark = mark("from-a-user");
        let reply = submit(&stack, to, &message(ALICE.0, to, &mark));
        assert_eq!(reply.code, 250, "{reply:?}");
        assert_eq!(sender(&target.wait_for(&mark)), ALICE.0);
    }
    let mark = mark("bounce");
    assert_eq!(send(&stack, "", &alias, &mark).code, 250);
    assert_eq!(sender(&target.wait_for(&mark)), "");
}

#[test]
fn scripts_forward_as_aliases_do() {
    let stack = stack::shared();
    let target = Sink::start(&stack, "redirected");
    let (user, _) = stack.new_user("redirecting");
    stack.install_script(&user, &format!("redirect \"someone@{}\";\n", target.domain));
    let mark = mark("redirected");
    deliver(&stack, &user, &mark);
    let mail = target.wait_for(&mark);
    assert!(sender(&mail).starts_with("SRS0="), "{mail}");
    assert!(sender(&mail).ends_with(&format!("=outside.test=someone@{DOMAIN}")), "{mail}");
}

/// Of the servers that forwarded a mail before, the sender names the first and the last one.
#[test]
fn what_others_have_rewritten_goes_back_through_them() {
    let stack = stack::shared();
    let (origin, target) = (Sink::start(&stack, "forwarder"), Sink::start(&stack, "next"));
    let theirs = format!("SRS0=aB1=xY=first.example=someone@{}", origin.domain);
    let rewritten = forward(&stack, &theirs, &target);
    let expected = format!("={}==aB1=xY=first.example=someone@{DOMAIN}", origin.domain);
    assert!(rewritten.starts_with("SRS1=") && rewritten.ends_with(&expected), "{rewritten}");
    let mark = mark("back");
    assert_eq!(send(&stack, "", &rewritten, &mark).code, 250);
    assert!(origin.wait_for(&mark).contains(&mark));
}

/// An address of 64 bytes before the @ is the longest that servers must take.
#[test]
fn senders_too_long_to_be_rewritten_leave_as_they_are() {
    let stack = stack::shared();
    let target = Sink::start(&stack, "long");
    let fits = format!("{}@outside.test", "x".repeat(36));
    let rewritten = forward(&stack, &fits, &target);
    assert!(rewritten.starts_with("SRS0=") && rewritten.find('@') == Some(64), "{rewritten}");
    let too_long = format!("{}+y@outside.test", "x".repeat(36));
    assert_eq!(forward(&stack, &too_long, &target), too_long);
}

#[test]
fn addresses_that_we_did_not_make_are_refused_even_by_a_catch_all() {
    let stack = stack::exclusive();
    let target = Sink::start(&stack, "honest");
    let honest = forward(&stack, "victim@outside.test", &target);
    let catch_all = format!("@{SECOND}");
    stack.mailimg(&["alias", "add", &catch_all, BOB.0], "");
    let to = |recipient: &str| {
        let mut smtp = Smtp::open(stack.address(25));
        smtp.expect("MAIL FROM:<>", 250);
        smtp.say(&format!("RCPT TO:<{recipient}>"))
    };
    let forged = [
        honest.replace("=victim@", "=other@"),
        honest.replace("=outside.test=", "=bank.example="),
        format!("SRS0=AAAAAA=AA=outside.test=victim@{DOMAIN}"),
        format!("SRS0=AAAAAA=AA=outside.test=victim@{SECOND}"),
        format!("SRS1=AAAAAA=outside.test==AA=AA=b.test=victim@{SECOND}"),
        format!("SRS0=x@{SECOND}"),
    ];
    let replies = forged.each_ref().map(|recipient| to(recipient));
    let lower_case = to(&honest.to_lowercase());
    let foreign = to(&honest.replace(DOMAIN, "elsewhere.test"));
    let caught = to(&format!("anybody@{SECOND}"));
    stack.mailimg(&["alias", "del", &catch_all], "");

    for (recipient, reply) in forged.iter().zip(&replies) {
        assert_eq!(reply.code, 550, "{recipient}: {reply:?}");
        assert!(reply.text.contains("5.1.1"), "{recipient}: {reply:?}");
    }
    assert_eq!((lower_case.code, caught.code), (250, 250), "{lower_case:?} {caught:?}");
    assert_eq!(foreign.code, 554, "{foreign:?}");
}

#[test]
fn bounces_come_back_after_the_keys_were_replaced_and_mail_waits_for_the_program() {
    let stack = stack::exclusive();
    let (origin, target) = (Sink::start(&stack, "early"), Sink::start(&stack, "late"));
    let writer = format!("writer@{}", origin.domain);
    let early = forward(&stack, &writer, &target);
    stack.mailimg(&["secrets", "rotate", "srs-keys"], "");
    stack.compose(&["restart", "postfix"]);
    stack.wait_until_healthy("postfix");
    let late = forward(&stack, &writer, &target);
    assert_ne!(early, late);
    for address in [&early, &late] {
        let mark = mark("bounced-later");
        assert_eq!(send(&stack, "", address, &mark).code, 250, "{address}");
        origin.wait_for(&mark);
    }

    let container = stack.container("postfix");
    // Postfix's processes start anew, because they may still be connected.
    let shell = |command: &str| engine::docker(["exec", &container, "sh", "-c", command]);
    shell("mv /run/srs/srs.sock /run/srs/away && postfix reload");
    let (waiting, local) = (mark("waiting"), mark("local"));
    let alias = alias(&stack, &[&format!("someone@{}", target.domain), BOB.0]);
    let reply = send(&stack, &writer, &alias, &waiting);
    let to_user = send(&stack, &writer, ALICE.0, &local);
    let bounce = send(&stack, "", &late, "bounced-meanwhile");
    shell("mv /run/srs/away /run/srs/srs.sock");
    assert_eq!((reply.code, to_user.code, bounce.code), (250, 250, 451), "{reply:?} {to_user:?} {bounce:?}");
    stack.mailbox(ALICE).wait_for_message(&local);
    stack.mailbox(BOB).wait_for_message(&waiting);
    stack.wait_until_healthy("postfix");
    stack.mailimg(&["queue", "flush"], "");
    assert!(sender(&target.wait_for(&waiting)).starts_with("SRS0="));
}

#[test]
fn a_site_can_leave_senders_alone() {
    let stack = stack::exclusive();
    let target = Sink::start(&stack, "unchanged");
    let site = stack.set([("smtp", "srs", false.into())]);
    let found = forward(&stack, "someone@outside.test", &target);
    stack.restore(&site);
    assert_eq!(found, "someone@outside.test");
}

#[test]
fn forwarded_mail_leaves_through_the_relay_host() {
    let stack = stack::exclusive();
    let relay = Sink::start(&stack, "forwarding-relay");
    let site = stack.set([("relay", "host", relay.domain.clone().into()), ("relay", "port", 25.into())]);
    let alias = alias(&stack, &["someone@elsewhere.example"]);
    let mark = mark("relayed");
    let reply = send(&stack, "someone@outside.test", &alias, &mark);
    let code = reply.code;
    let sender = sender(&relay.wait_for(&mark)).to_owned();
    stack.restore(&site);
    assert!(code == 250 && sender.starts_with("SRS0="), "{code} {sender}");
}

/// Asks the program's own code what it says on later days.
#[test]
fn addresses_expire_after_three_weeks() {
    let stack = stack::shared();
    let program = r#"
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
loader = SourceFileLoader("srs", "/usr/local/libexec/mailimg/srs")
srs = module_from_spec(spec_from_loader("srs", loader))
loader.exec_module(srs)
rewriter = srs.Rewriter(["new", "old"], ["example.test"])
for made in (srs.today(), 1023, 1024 * 20 - 1):
    address = rewriter.forward("someone@outside.test", made)
    print([made + age for age in (0, 1, 21) if not rewriter.reverse(address, made + age)])
    print([age for age in (22, 500, 1000, -1) if rewriter.reverse(address, made + age)])
"#;
    let said = engine::docker(["exec", &stack.container("postfix"), "python3", "-B", "-c", program]);
    assert_eq!(said.lines().collect::<Vec<_>>(), ["[]"; 6], "{said}");
}
