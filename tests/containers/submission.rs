//! Mail from our own users, on 587 and 465.

use std::time::Duration;

use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::{Message, SmtpTransport, Transport as _};

use crate::common::engine;
use crate::common::smtp::Smtp;
use crate::stack::{self, ALICE, BOB, HOSTNAME, Stack, mark, wait_for_log};

/// A real client that trusts the server's certificate and nothing else.
pub fn client(stack: &Stack, port: u16, mechanism: Mechanism, (user, password): (&str, &str)) -> SmtpTransport {
    let certificate = Certificate::from_pem(stack.certificate().as_bytes()).unwrap();
    let tls = TlsParameters::builder(HOSTNAME.to_owned())
        .certificate_store(CertificateStore::None)
        .add_root_certificate(certificate)
        .build()
        .unwrap();
    let address = stack.address(port);
    SmtpTransport::builder_dangerous(address.ip().to_string())
        .port(address.port())
        .tls(if port == 465 { Tls::Wrapper(tls) } else { Tls::Required(tls) })
        .authentication(vec![mechanism])
        .credentials(Credentials::new(user.to_owned(), password.to_owned()))
        .timeout(Some(Duration::from_secs(30)))
        .build()
}

pub fn mail(from: &str, to: &str, subject: &str) -> Message {
    let body = "Hello.\n".to_owned();
    Message::builder().from(from.parse().unwrap()).to(to.parse().unwrap()).subject(subject).body(body).unwrap()
}

#[test]
fn users_submit_by_starttls_and_by_tls() {
    let stack = stack::shared();
    for (port, mechanism) in [(587, Mechanism::Plain), (465, Mechanism::Login)] {
        let mark = mark("submitted");
        let response = client(&stack, port, mechanism, ALICE).send(&mail(ALICE.0, BOB.0, &mark)).unwrap();
        assert_eq!(response.code().to_string(), "250");
        stack.mailbox(BOB).wait_for_message(&mark);
    }
}

#[test]
fn nothing_is_accepted_before_tls() {
    let stack = stack::shared();
    // One mistake each: a busy server hangs up after the first.
    for line in [format!("MAIL FROM:<{}>", ALICE.0), "AUTH PLAIN AGEAYg==".to_owned()] {
        Smtp::open(stack.address(587)).expect(&line, 530);
    }
}

#[test]
fn nothing_is_accepted_before_authentication() {
    let stack = stack::shared();
    let mut starttls = Smtp::open(stack.address(587));
    starttls.starttls();
    for mut smtp in [starttls, Smtp::open_tls(stack.address(465))] {
        let reply = smtp.send(ALICE.0, BOB.0, "Subject: no\n\nno\n");
        assert_eq!(reply.code, 554, "{reply:?}");
    }
}

#[test]
fn wrong_passwords_are_refused_and_logged_with_the_address() {
    let stack = stack::shared();
    let mut smtp = Smtp::open(stack.address(587));
    smtp.starttls();
    let reply = smtp.auth(ALICE.0, "not the password");
    assert_eq!(reply.code, 535, "{reply:?}");
    wait_for_log(&stack.container("postfix"), "the failed login", |line| {
        let Some((client, _)) = line.split_once(": SASL PLAIN authentication failed") else { return false };
        let address = client.rsplit('[').next().unwrap_or_default().trim_end_matches(']');
        address.parse::<std::net::IpAddr>().is_ok()
    });
}

#[test]
fn wrong_passwords_do_not_keep_out_who_shares_the_address() {
    let stack = stack::shared();
    let login = |password: &str| {
        let mut smtp = Smtp::open(stack.address(587));
        smtp.starttls();
        smtp.auth(ALICE.0, password).code
    };
    for attempt in 0..4 {
        assert_eq!(login(&format!("guess {attempt}")), 535, "attempt {attempt}");
    }
    assert_eq!(login(ALICE.1), 235);
}

#[test]
fn port_25_offers_no_authentication() {
    let stack = stack::shared();
    let mut smtp = Smtp::open(stack.address(25));
    let reply = smtp.starttls();
    assert!(!reply.text.contains("AUTH"), "{reply:?}");
}

#[test]
fn users_log_in_on_port_25_where_the_site_allows_it() {
    let stack = stack::exclusive();
    stack.project.replace("mailimg.toml", "auth-on-25 = false", "auth-on-25 = true");
    stack.rebuild();
    let mut smtp = Smtp::open(stack.address(25));
    let in_clear = smtp.say("AUTH PLAIN AGEAYg==").code;
    let offered = smtp.starttls().text;
    let login = smtp.auth(ALICE.0, ALICE.1).code;
    let foreign = smtp.say(&format!("MAIL FROM:<{}>", BOB.0)).code;
    let relayed = smtp.say("RCPT TO:<someone@outside.test>").code;
    stack.project.replace("mailimg.toml", "auth-on-25 = true", "auth-on-25 = false");
    stack.rebuild();
    assert!(offered.contains("AUTH PLAIN LOGIN"), "{offered}");
    assert_eq!((in_clear / 100, login, foreign, relayed), (5, 235, 250, 553));
}

#[test]
fn passwords_are_stored_as_bcrypt_and_logged_nowhere() {
    let stack = stack::shared();
    let query = "SELECT * FROM mailserver.virtual_users";
    let mariadb = ["mariadb", "--defaults-file=/etc/mailimg/my.cnf", "-N", "-e", query];
    let container = stack.container("mysql");
    let table = engine::docker([["exec", "--user", "0", &container].as_slice(), &mariadb].concat());
    assert!(table.lines().count() >= 2, "{table}");
    assert_eq!(table.matches("{BLF-CRYPT}$2y$").count(), table.lines().count(), "{table}");
    for service in stack::SERVICES {
        let log = engine::logs(&stack.container(service));
        for (_, password) in [ALICE, BOB] {
            assert!(!log.contains(password) && !table.contains(password), "{service} knows {password}");
        }
    }
}
