//! What other servers get of mail that our users submit.

use std::net::Ipv4Addr;
use std::time::Duration;

use mail_auth::DkimResult;

use crate::common::dns::{DnsServer, Record};
use crate::common::smtp::{Reply, Smtp};
use crate::common::{engine, wait_for};
use crate::dkim;
use crate::queue::queued;
use crate::sink::Sink;
use crate::stack::{self, ALICE, BOB, DOMAIN, Stack, mark, message};

/// Submits a mail as it is.
pub fn submit(stack: &Stack, to: &str, text: &str) -> Reply {
    let mut smtp = Smtp::open(stack.address(587));
    smtp.starttls();
    assert_eq!(smtp.auth(ALICE.0, ALICE.1).code, 235);
    smtp.send(ALICE.0, to, text)
}

/// A name server with the stack's DKIM key.
fn zone(stack: &Stack) -> DnsServer {
    let zone = DnsServer::start(Ipv4Addr::LOCALHOST.into());
    zone.add(&format!("mail._domainkey.{DOMAIN}"), Record::Txt(dkim::record(stack)));
    zone
}

/// Waits until a mail is deferred for a reason.
fn waits(stack: &Stack, recipient: &str, reason: &str) {
    wait_for(&format!("mail that waits because of {reason:?}"), Duration::from_secs(30), || {
        let mail = queued(stack, recipient)?;
        mail["recipients"][0]["reason"].as_str().filter(|found| found.contains(reason)).map(str::to_owned)
    });
}

/// A header of a mail, with the lines that continue it.
pub fn header<'a>(mail: &'a str, name: &str) -> &'a str {
    let start = mail.find(&format!("\n{name}:")).unwrap_or_else(|| panic!("no {name} in {mail}")) + 1;
    let rest = &mail[start..];
    let end = rest.match_indices('\n').find(|(at, _)| !rest[at + 1..].starts_with([' ', '\t'])).unwrap().0;
    &rest[..end]
}

#[test]
fn mail_leaves_complete_signed_and_without_its_users_address() {
    let stack = stack::shared();
    let sink = Sink::start(&stack, "complete");
    let mark = mark("bare");
    let trace = "Received: from a.test (a.test [192.0.2.7])\n\tby b.test (Postfix) with ESMTPSA id 1; Thu, 1 Jan 2026";
    let text = format!("{trace} 00:00:00 +0000\nSubject: {mark}\n\nHello.\n");
    let reply = submit(&stack, &format!("someone@{}", sink.domain), &text);
    assert_eq!(reply.code, 250, "{reply:?}");

    let mail = format!("\n{}", sink.wait_for(&mark));
    assert!(header(&mail, "From").contains(ALICE.0), "{mail}");
    for name in ["date", "message-id", "from", "subject"] {
        assert_eq!(mail.to_lowercase().matches(&format!("\n{name}:")).count(), 1, "{name}: {mail}");
    }
    let signature = header(&mail, "DKIM-Signature");
    assert!(signature.split(';').any(|tag| tag.trim() == "h=Subject:Date:From:From"), "{signature}");
    assert_eq!(dkim::verify(mail.trim_start(), &zone(&stack)), [DkimResult::Pass], "{mail}");

    let received = header(&mail, "Received");
    assert!(received.starts_with("Received: by mail.example.test (Postfix) with ESMTPSA id "), "{received}");
    assert!(received.contains("\n\t(using TLSv1.3") && received.contains("for <someone@complete"), "{received}");
    assert!(!mail.contains("client.outside.test"), "{mail}");
    assert!(mail.contains("Received: from a.test (a.test [192.0.2.7])"), "{mail}");
}

#[test]
fn lines_too_long_to_leave_as_they_are_signed_are_refused() {
    let stack = stack::shared();
    let sink = Sink::start(&stack, "lines");
    let to = format!("someone@{}", sink.domain);
    let text = |mark: &str, subject: usize, line: usize| {
        let subject = format!("{mark}{}", "s".repeat(subject - "Subject: ".len() - mark.len()));
        format!("{}\n{}\n.\nend\n", message(ALICE.0, &to, &subject), "x".repeat(line))
    };
    let longest = mark("longest");
    let reply = submit(&stack, &to, &text(&longest, 300, 998));
    assert_eq!(reply.code, 250, "{reply:?}");
    let mail = sink.wait_for(&longest);
    assert!(mail.lines().any(|line| line == "x".repeat(998)), "{mail}");
    assert_eq!(dkim::verify(&mail, &zone(&stack)), [DkimResult::Pass], "{mail}");

    // The last is longer than what one packet of the filter's protocol holds.
    for (subject, line) in [(300, 999), (999, 10), (300, 100_000)] {
        let reply = submit(&stack, &to, &text("long", subject, line));
        assert_eq!(reply.code, 550, "{subject} {line}: {reply:?}");
        assert!(reply.text.contains("998 bytes"), "{reply:?}");
    }
    // Mail from outside isn't ours to judge.
    let mark = mark("long-from-outside");
    let text = format!("{}{}\n", message("someone@outside.test", BOB.0, &mark), "x".repeat(100_000));
    let reply = Smtp::open(stack.address(25)).send("someone@outside.test", BOB.0, &text);
    assert_eq!(reply.code, 250, "{reply:?}");
    stack.mailbox(BOB).wait_for_message(&mark);
}

/// A login over its limit is told so, whatever the form of its mail; another login isn't concerned.
#[test]
fn users_send_to_so_many_recipients_an_hour_and_clients_are_named_where_the_site_wants_it() {
    let stack = stack::exclusive();
    let sink = Sink::start(&stack, "counted");
    stack.project.replace("mailimg.toml", "recipients-per-hour = 0", "recipients-per-hour = 3");
    stack.project.replace("mailimg.toml", "hide-clients = true", "hide-clients = false");
    stack.rebuild();
    let mark = mark("counted");
    let send_text = |(user, recipients): ((&str, &str), u32), text: &str| {
        let mut smtp = Smtp::open_tls(stack.address(465));
        assert_eq!(smtp.auth(user.0, user.1).code, 235);
        smtp.expect(&format!("MAIL FROM:<{}>", user.0), 250);
        for number in 0..recipients {
            smtp.expect(&format!("RCPT TO:<{number}@{}>", sink.domain), 250);
        }
        let text = text.replace('\n', "\r\n");
        smtp.say(&format!("BDAT {} LAST\r\n{}", text.len(), text.trim_end_matches("\r\n")))
    };
    let text = |user: &str, mark: &str| message(user, "many@outside.test", mark);
    let send = |case: ((&str, &str), u32)| send_text(case, &text(case.0.0, &mark));
    // What is refused, by an earlier filter or by the same, doesn't count.
    let virus = format!("{}{}\n", text(ALICE.0, "virus"), stack::eicar());
    let uncounted = [virus, text(BOB.0, "forged")].map(|text| send_text((ALICE, 3), &text));
    let replies = [(ALICE, 2), (ALICE, 4), (ALICE, 2), (ALICE, 1), (ALICE, 1), (BOB, 3)].map(send);
    let by_data = submit(&stack, BOB.0, &message(ALICE.0, BOB.0, "by-data"));
    let log = engine::logs(&stack.container("postfix"));
    let mail = sink.wait_for(&mark);
    stack.project.replace("mailimg.toml", "recipients-per-hour = 3", "recipients-per-hour = 0");
    stack.project.replace("mailimg.toml", "hide-clients = false", "hide-clients = true");
    stack.rebuild();

    assert_eq!(uncounted.each_ref().map(|reply| reply.code), [550, 550], "{uncounted:?}");
    assert_eq!(replies.each_ref().map(|reply| reply.code), [250, 550, 450, 250, 450, 250], "{replies:?}");
    assert_eq!(by_data.code, 450, "{by_data:?}");
    let refused = |line: &&str| line.contains("milter-reject: ") && line.contains("alice@example.test has sent to 3");
    assert_eq!(log.lines().filter(refused).count(), 3, "{log}");
    assert!(mail.contains("Received: from client.outside.test (unknown ["), "{mail}");
}

/// The relay host's certificate is unknown to the images at first.
#[test]
fn a_relay_host_gets_all_outgoing_mail_and_the_password_only_if_it_is_who_it_should_be() {
    let stack = stack::exclusive();
    let relay = Sink::relay(&stack, "relay", 587);
    let password = "relay: Password-6 $x #\"\\";
    let site = stack.project.read("mailimg.toml");
    let bundle = "images/postfix/rootfs/etc/ssl/certs/ca-certificates.crt";
    let (first, second) = (mark("relayed"), mark("never-in-clear"));
    let submit_to = |domain: &str, mark: &str| {
        let recipient = format!("{mark}@{domain}");
        let reply = submit(&stack, &recipient, &message(ALICE.0, &recipient, mark));
        assert_eq!(reply.code, 250, "{reply:?}");
        recipient
    };
    stack.mailimg(&["secrets", "set", "relay-password", "--password-stdin"], password);
    let relay_host = format!("[relay]\nhost = \"{}\"\nuser = \"me@relay.test\"\n", relay.domain);
    stack.project.write("mailimg.toml", format!("{site}\n{relay_host}"));
    stack.rebuild();
    waits(&stack, &submit_to("elsewhere.example", &first), "Server certificate not verified");
    let unsafe_logins = relay.logins();

    stack.project.write(bundle, &relay.certificate);
    stack.rebuild();
    stack.mailimg(&["queue", "flush"], "");
    let mail = relay.wait_for(&first);
    relay.stop_tls();
    waits(&stack, &submit_to("elsewhere.example", &second), "TLS is required");
    let container = stack.container("postfix");
    let seen = engine::logs(&container) + &engine::inspect(&container, "{{json .}}");
    let logins = relay.logins();
    stack.project.write("mailimg.toml", &site);
    let _ = fs_err::remove_file(stack.project.path().join(bundle));
    stack.mailimg(&["queue", "delete", "--all", "--yes"], "");
    stack.rebuild();

    assert_eq!(unsafe_logins, [""; 0]);
    assert_eq!(logins, [format!("\0me@relay.test\0{password}")]);
    assert!(!seen.contains("Password-6"), "{seen}");
    assert_eq!(dkim::verify(&mail, &zone(&stack)), [DkimResult::Pass], "{mail}");
}

/// One relay needs no login and has no TLS; the other has a certificate that nobody vouches for, and TLS from the start.
#[test]
fn a_relay_host_may_need_no_login_or_not_say_who_it_is() {
    let stack = stack::exclusive();
    let site = stack.project.read("mailimg.toml");
    let (open, strange) = (Sink::start(&stack, "open"), Sink::relay(&stack, "strange", 465));
    let relays = [(&open, "port = 25"), (&strange, "port = 465\nuser = \"me@relay.test\"\nverify-certificate = false")];
    stack.mailimg(&["secrets", "set", "relay-password", "--password-stdin"], "Password-7");
    for (relay, how) in relays {
        stack.restore(&format!("{site}\n[relay]\nhost = \"{}\"\n{how}\n", relay.domain));
        let recipient = format!("{}@elsewhere.example", mark("through"));
        let reply = submit(&stack, &recipient, &message(ALICE.0, &recipient, &recipient));
        assert_eq!(reply.code, 250, "{reply:?}");
        relay.wait_for(&recipient);
    }
    stack.mailimg(&["queue", "delete", "--all", "--yes"], "");
    stack.restore(&site);

    assert_eq!(open.logins(), [""; 0]);
    assert_eq!(strange.logins(), ["\0me@relay.test\0Password-7"]);
}

/// The trusted client is the other server itself.
#[test]
fn a_trusted_network_sends_without_a_login_and_required_tls_is_required() {
    let stack = stack::exclusive();
    let sink = Sink::start_with_tls(&stack, "trusted");
    let site = stack.project.read("mailimg.toml");
    let mut changed: toml::Table = site.parse().unwrap();
    let smtp = changed["smtp"].as_table_mut().unwrap();
    smtp.insert("trusted-networks".to_owned(), vec![format!("{}/32", sink.address)].into());
    smtp.insert("postscreen".to_owned(), false.into());
    changed["tls"].as_table_mut().unwrap().insert("outbound-required".to_owned(), true.into());
    let (first, second) = (mark("trusted"), mark("in-clear"));
    let send = |mark: &str| {
        let (recipient, from) = (format!("{mark}@{}", sink.domain), ALICE.0);
        sink.run(&format!(
            "import smtplib\nwith smtplib.SMTP('postfix', 25, timeout=60) as smtp:\n    \
             smtp.sendmail('{from}', ['{recipient}'], 'From: {from}\\r\\nSubject: {mark}\\r\\n\\r\\nHello.\\r\\n')"
        ));
        recipient
    };
    stack.project.write("mailimg.toml", toml::to_string(&changed).unwrap());
    stack.rebuild();
    send(&first);
    let mail = sink.wait_for(&first);
    sink.stop_tls();
    waits(&stack, &send(&second), "TLS is required");
    let from_elsewhere = Smtp::open(stack.address(25)).send(ALICE.0, &format!("x@{}", sink.domain), "");
    let forged = Smtp::open(stack.address(25)).send(ALICE.0, BOB.0, &message(ALICE.0, BOB.0, "forged"));
    let log = engine::logs(&stack.container("postfix"));
    stack.project.write("mailimg.toml", &site);
    stack.mailimg(&["queue", "delete", "--all", "--yes"], "");
    stack.rebuild();

    assert_eq!(dkim::verify(&mail, &zone(&stack)), [DkimResult::Pass], "{mail}");
    assert!(mail.contains("\nDate: ") && mail.contains("\nMessage-Id: "), "{mail}");
    assert_eq!((from_elsewhere.code, forged.code), (554, 550), "{from_elsewhere:?} {forged:?}");
    assert!(log.contains("postfix/smtpd[") && !log.contains("postfix/postscreen["), "{log}");
}
