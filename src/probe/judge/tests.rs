use std::io;
use std::sync::Arc;

use super::*;
use crate::probe::check::Wrong;

fn reply(code: u16, text: &str) -> Reply {
    Reply { code, text: text.to_owned() }
}

fn lines(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|line| (*line).to_owned()).collect()
}

#[track_caller]
fn passes(verdict: &Verdict, part: &str) {
    assert!(verdict.as_ref().is_ok_and(|detail| detail.contains(part)), "{part:?} in {verdict:?}");
}

#[track_caller]
fn fails(verdict: &Verdict, part: &str) {
    let is_meant = |wrong: &Wrong| wrong.detail.contains(part) && !wrong.hint.is_empty();
    assert!(verdict.as_ref().is_err_and(is_meant), "{part:?} in {verdict:?}");
}

#[test]
fn the_server_has_to_be_the_sites() {
    passes(&greeting("MAIL.example.test at your service", "mail.example.test"), "mail.example.test greets");
    fails(&greeting("mx.elsewhere.test", "mail.example.test"), "\"mx.elsewhere.test\", not mail.example.test");
    fails(&greeting("", "mail.example.test"), "\"\"");
}

#[test]
fn smtp_offers_starttls_and_neither_logins_nor_utf8() {
    let offers = |more: &[&str]| offers(Protocol::Smtp, &lines(&[&["SIZE 10", "8BITMIME"], more].concat()));
    passes(&offers(&["STARTTLS"]), "STARTTLS");
    passes(&offers(&["starttls", "XAUTH"]), "STARTTLS");
    fails(&offers(&[]), "STARTTLS isn't offered");
    fails(&offers(&["XSTARTTLS"]), "STARTTLS isn't offered");
    fails(&offers(&["STARTTLS", "AUTH PLAIN"]), "before TLS");
    fails(&offers(&["STARTTLS", "AUTH=LOGIN PLAIN"]), "before TLS");
    fails(&offers(&["STARTTLS", "SMTPUTF8"]), "SMTPUTF8");
}

#[test]
fn imap_offers_starttls_and_no_login() {
    let offers = |line: &str| offers(Protocol::Imap, &lines(&[line, "a OK done"]));
    passes(&offers("* CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED"), "a login before TLS is not");
    fails(&offers("* CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN"), "allowed before TLS");
    fails(&offers("* CAPABILITY IMAP4rev1 LOGINDISABLED"), "STARTTLS isn't offered");
}

#[test]
fn users_log_in_on_port_25_only_where_the_site_says_so() {
    let with = reply(250, "mail.example.test\nSIZE 10\nAUTH PLAIN LOGIN");
    // The name of a server is no keyword.
    let without = reply(250, "AUTH\nSIZE 10");
    passes(&auth(&with, true), "offered");
    passes(&auth(&without, false), "isn't offered");
    fails(&auth(&with, false), "is false");
    fails(&auth(&without, true), "is true");
}

#[test]
fn certificates_are_judged_by_what_is_wrong_with_them() {
    let judge = |error, days| {
        certificate(&Err(rustls::Error::InvalidCertificate(error)), Some(days), false, "mail.example.test")
    };
    passes(
        &certificate(&Ok(()), Some(80), false, "mail.example.test"),
        "valid for mail.example.test, trusted, 80 days left",
    );
    passes(&certificate(&Ok(()), Some(800), true, "mail.example.test"), "the site's own, self-signed, 800 days left");
    fails(&judge(CertificateError::UnknownIssuer, 80), "nobody that this machine trusts");
    fails(&judge(CertificateError::Expired, -3), "has expired 3 days ago");
    fails(&judge(CertificateError::NotValidForName, 80), "the certificate isn't for mail.example.test");
    fails(&judge(CertificateError::Revoked, 80), "Revoked");
    let authority = CertificateError::Other(rustls::OtherError(Arc::new(io::Error::other("CaUsedAsEndEntity"))));
    fails(&judge(authority, 80), "the certificate of an authority");
    fails(
        &certificate(&Err(rustls::Error::NoCertificatesPresented), None, false, "mail.example.test"),
        "no certificates",
    );
}

#[test]
fn only_new_versions_of_tls_are_right() {
    let judge = |[first, second, third, fourth]: [bool; 4]| {
        versions(&[("1.0", false, first), ("1.1", false, second), ("1.2", true, third), ("1.3", true, fourth)])
    };
    passes(&judge([false, false, true, true]), "TLS 1.2 and 1.3; 1.0 and 1.1 are refused");
    fails(&judge([true, true, true, true]), "TLS 1.0 and 1.1 are accepted");
    fails(&judge([false, true, true, true]), "TLS 1.1 is accepted");
    fails(&judge([false, false, true, false]), "TLS 1.3 is refused");
    fails(&judge([false, false, false, false]), "TLS 1.2 and 1.3 are refused");
}

#[test]
fn strangers_reach_nobody_but_the_sites_users() {
    let trusted = ["192.0.2.0/24", "2001:db8::/32"].map(str::to_owned);
    let trusting = relay(Stage::Recipient, &reply(250, "so"), "a@example.com", &trusted);
    fails(&trusting, "mail for a@example.com is accepted without login: 250 so");
    assert!(trusting.unwrap_err().hint.starts_with("clients in 192.0.2.0/24, 2001:db8::/32 may send so"));
    passes(&relay(Stage::Recipient, &reply(554, "so"), "a@example.com", &trusted), "554 so");
    let relay = |stage, code| relay(stage, &reply(code, "so"), "a@example.com", &[]);
    passes(&relay(Stage::Recipient, 554), "554 so");
    fails(&relay(Stage::Recipient, 250), "an open relay: mail for a@example.com is accepted");
    fails(&relay(Stage::Recipient, 451), "the recipient is refused: 451 so");
    fails(&relay(Stage::Sender, 550), "the sender is refused: 550 so");
    let unknown = |stage, code| unknown_user(stage, &reply(code, "so"), "x@example.test");
    passes(&unknown(Stage::Recipient, 550), "550 so");
    fails(&unknown(Stage::Recipient, 250), "x@example.test, who doesn't exist, is accepted");
    fails(&unknown(Stage::Recipient, 450), "450");
}

#[test]
fn mail_is_accepted_and_viruses_are_not() {
    let harmless = |stage, code| message(stage, &reply(code, "so"));
    passes(&harmless(Stage::Message, 250), "250 so");
    fails(&harmless(Stage::Recipient, 250), "250");
    fails(&harmless(Stage::Recipient, 552), "the recipient is refused: 552 so");
    fails(&harmless(Stage::Message, 451), "the mail is refused: 451 so");
    let dangerous = |stage, code| virus(stage, &reply(code, "so"));
    passes(&dangerous(Stage::Message, 550), "550 so");
    fails(&dangerous(Stage::Message, 250), "the EICAR test virus is accepted");
    fails(&dangerous(Stage::Message, 451), "the mail is refused: 451 so");
    // Refused, but nobody has looked at it.
    fails(&dangerous(Stage::Recipient, 550), "the recipient is refused");
}

#[test]
fn the_right_password_alone_is_right() {
    passes(&login(&reply(235, "so")), "235");
    fails(&login(&reply(535, "so")), "the login is refused: 535 so");
    fails(&login(&reply(454, "so")), "the login fails: 454 so");
    passes(&wrong_password(&reply(535, "so")), "535");
    fails(&wrong_password(&reply(235, "so")), "a wrong password is accepted");
    fails(&wrong_password(&reply(454, "so")), "neither");
    passes(&imap_login(None), "logged in");
    fails(&imap_login(Some("Authentication failed.")), "the login is refused");
    fails(&imap_login(Some("[UNAVAILABLE] Temporary")), "the login fails");
    passes(&imap_wrong_password(Some("Authentication failed.")), "Authentication failed.");
    fails(&imap_wrong_password(None), "a wrong password is accepted");
    fails(&imap_wrong_password(Some("code: Some(Unavailable)")), "neither");
    fails(&imap_wrong_password(Some("[LIMIT] Too many connections")), "neither");
}

#[test]
fn mail_that_does_not_arrive_is_missed() {
    passes(&arrival(Some("INBOX"), 0.44), "in INBOX after 0.4 s");
    fails(&arrival(None, 45.0), "isn't in the mailbox after 45 s");
}

#[test]
fn only_results_under_the_sites_name_count() {
    let headers = "Authentication-Results: mx.elsewhere.test; dkim=pass\r\n\
                   authentication-results: mail.example.test;\r\n\tspf=none smtp.mailfrom=a@b.test\r\n\
                   X-Other: Authentication-Results: mail.example.test; spf=pass\r\n\
                   Authentication-Results: mail.example.test; dmarc=none\r\n\r\n";
    assert_eq!(results(headers, "mail.example.test"), Ok("spf=none smtp.mailfrom=a@b.test; dmarc=none".to_owned()));
    fails(&results(headers, "mx.example.test"), "no Authentication-Results from mx.example.test");
    fails(&results("", "mail.example.test"), "nobody has checked");
}

#[test]
fn the_signature_is_that_of_the_users_domain() {
    let headers = "Subject: x\r\nDKIM-Signature: v=1; a=rsa-sha256; d=list.test;\r\n s=one; bh=a=\r\n\
                   DKIM-Signature: v=1; d=example.test; s=mail;\r\n\tb=abc\r\n\r\n";
    passes(&dkim(headers, "example.test", "mail"), "signed for example.test with mail._domainkey");
    fails(&dkim(headers, "example.test", "2026"), "not signed for example.test with 2026, but for list.test with one");
    fails(&dkim("Subject: x\r\n", "example.test", "mail"), "not signed for example.test");
}
