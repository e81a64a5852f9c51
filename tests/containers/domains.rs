//! The site's domains: one that is taken out of the list, one without a DKIM key, and the addresses each must have.

use std::net::Ipv4Addr;

use lettre::Transport as _;
use lettre::transport::smtp::authentication::Mechanism;
use mail_auth::DkimResult;

use crate::common::dns::{DnsServer, Record};
use crate::common::engine;
use crate::common::smtp::Smtp;
use crate::dkim::{record, verify};
use crate::stack::{self, ALICE, BOB, DOMAIN, POSTMASTER, SECOND, SHOP, deliver, mark};
use crate::submission::{client, mail};

const DAVE: (&str, &str) = ("dave@second.test", "dave-Password-4");

/// What port 25 says to a recipient.
fn recipient(stack: &stack::Stack, address: &str) -> u16 {
    let mut smtp = Smtp::open(stack.address(25));
    smtp.expect("MAIL FROM:<someone@outside.test>", 250);
    smtp.say(&format!("RCPT TO:<{address}>")).code
}

#[test]
fn a_domain_that_leaves_the_list_rests_until_it_returns() {
    let stack = stack::exclusive();
    let alias = format!("info@{SECOND}");
    stack.mailimg(&["user", "add", DAVE.0, "--password-stdin"], &format!("{}\n", DAVE.1));
    stack.mailimg(&["alias", "add", &alias, ALICE.0], "");
    let kept = mark("kept");
    deliver(&stack, DAVE.0, &kept);
    stack.mailbox(DAVE).wait_for_message(&kept);

    let with = format!("domains = [\"{DOMAIN}\", \"{SHOP}\", \"{SECOND}\"]");
    let without = format!("domains = [\"{DOMAIN}\", \"{SHOP}\"]");
    stack.project.replace("mailimg.toml", &with, &without);
    stack.rebuild();
    for address in [DAVE.0, &alias, "postmaster@second.test"] {
        assert_eq!(recipient(&stack, address), 554, "{address}");
    }
    assert!(!stack.mailbox(DAVE).can_login());
    let users = stack.mailimg(&["user", "list"], "");
    assert!(users.contains(&format!("{}\tdefault\tresting\n", DAVE.0)), "{users}");
    let mut submission = Smtp::open(stack.address(587));
    submission.starttls();
    assert_eq!(submission.auth(DAVE.0, DAVE.1).code, 535);
    assert_eq!(recipient(&stack, ALICE.0), 250);
    assert!(stack.mailbox(ALICE).can_login());

    // It returns, but its key is gone: only its own mail goes out unsigned.
    let key = stack.project.path().join(format!("secrets/dkim/mail.{SECOND}.pem"));
    fs_err::remove_file(&key).unwrap();
    stack.project.replace("mailimg.toml", &without, &with);
    stack.rebuild();
    assert!(stack.mailbox(DAVE).find("INBOX", &kept).is_some());
    let warned = engine::logs(&stack.container("postfix"));
    let warning = format!("postfix: no DKIM key mail.{SECOND}.pem, so mail from {SECOND} is not signed");
    assert!(warned.contains(&warning) && warned.contains("`mailimg dkim`"), "{warned}");

    let zone = DnsServer::start(Ipv4Addr::LOCALHOST.into());
    zone.add(&format!("mail._domainkey.{DOMAIN}"), Record::Txt(record(&stack)));
    let (unsigned, signed) = (mark("without-key"), mark("with-key"));
    client(&stack, 587, Mechanism::Plain, DAVE).send(&mail(DAVE.0, BOB.0, &unsigned)).unwrap();
    client(&stack, 587, Mechanism::Plain, ALICE).send(&mail(ALICE.0, BOB.0, &signed)).unwrap();
    assert!(!stack.mailbox(BOB).wait_for_message(&unsigned).contains("DKIM-Signature:"));
    assert_eq!(verify(&stack.mailbox(BOB).wait_for_message(&signed), &zone), [DkimResult::Pass]);

    stack.mailimg(&["dkim"], "");
    stack.mailimg(&["alias", "del", &alias], "");
    stack.mailimg(&["user", "del", DAVE.0], "");
    stack.compose(&["restart", "postfix"]);
    stack.wait_until_healthy("postfix");
    client(&stack, 587, Mechanism::Plain, ALICE).send(&mail(ALICE.0, BOB.0, &mark("again"))).unwrap();
}

#[test]
fn a_database_of_an_older_version_gets_what_it_lacks() {
    let stack = stack::exclusive();
    let old = "DROP VIEW active_users; DROP VIEW active_aliases; ALTER TABLE virtual_domains DROP COLUMN active";
    let client = ["mariadb", "--defaults-file=/etc/mailimg/my.cnf", "mailserver", "-e"];
    let mysql = stack.container("mysql");
    let (done, said) = engine::exec(&mysql, &[client.as_slice(), &[old]].concat());
    assert!(done, "{said}");
    stack.without_database(|| ());
    crate::common::wait_for("the domain is active again", std::time::Duration::from_secs(30), || {
        let mut smtp = Smtp::open(stack.address(25));
        smtp.expect("MAIL FROM:<someone@outside.test>", 250);
        (smtp.say(&format!("RCPT TO:<{}>", ALICE.0)).code == 250).then_some(())
    });
}

/// Accepted, mail for a postmaster whom nobody has added would only bounce.
#[test]
fn postmaster_is_refused_while_nobody_reads_it() {
    let stack = stack::exclusive();
    for name in ["postmaster", "Abuse"] {
        assert_eq!(recipient(&stack, &format!("{name}@{SECOND}")), 250);
    }
    stack.mailimg(&["user", "del", POSTMASTER.0], "");
    let alone = recipient(&stack, &format!("postmaster@{SECOND}"));
    stack.mailimg(&["alias", "add", POSTMASTER.0, ALICE.0], "");
    let with_alias = recipient(&stack, &format!("postmaster@{SECOND}"));
    stack.mailimg(&["alias", "del", POSTMASTER.0], "");
    stack.mailimg(&["user", "add", POSTMASTER.0, "--password-stdin"], &format!("{}\n", POSTMASTER.1));
    assert_eq!((alone, with_alias), (550, 250));
}
