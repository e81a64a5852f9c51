//! Viruses, and what happens while mail can't be scanned.

use std::time::{Duration, Instant};

use lettre::Transport as _;
use lettre::message::header::ContentType;
use lettre::message::{Attachment, Message, SinglePart};
use lettre::transport::smtp::authentication::Mechanism;

use crate::common::engine;
use crate::common::packages::gzip;
use crate::common::smtp::{Reply, Smtp};
use crate::stack::{self, ALICE, BOB, FETCHED_VIRUS, Stack, base64_lines, deliver, eicar, headers, mark, message};
use crate::submission::client;

#[test]
fn a_virus_from_outside_is_refused() {
    // One detected by the image's own signature, one by a fetched signature.
    for virus in [eicar(), FETCHED_VIRUS.to_owned()] {
        refuses(&virus);
    }
}

fn refuses(virus: &str) {
    let stack = stack::shared();
    let mark = mark("virus");
    let reply = send(&stack, &with_attachment(&mark, virus.as_bytes()));
    assert_eq!(reply.code, 550, "{reply:?}");
    assert!(reply.text.contains("Virus found"), "{reply:?}");
    assert!(stack.mailbox(ALICE).find("INBOX", &mark).is_none());
}

fn send(stack: &Stack, mail: &str) -> Reply {
    Smtp::open_within(stack.address(25), Duration::from_mins(5)).send("someone@outside.test", ALICE.0, mail)
}

/// A mail with an attachment, whatever that is.
fn with_attachment(mark: &str, attached: &[u8]) -> String {
    let headers = headers("someone@outside.test", ALICE.0, mark);
    format!(
        "{headers}MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\n\n\
         Look at this.\n--b\nContent-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n\
         Content-Disposition: attachment; filename=attached\n\n{}\n--b--\n",
        base64_lines(attached)
    )
}

/// The virus behind so many files. It is compressed itself, or else it would be found in the archive as such.
fn behind(files: u32) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut add = |name: &str, content: &[u8]| {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, content).unwrap();
    };
    for number in 0..files {
        add(&format!("{number}.txt"), format!("This is file {number}.").as_bytes());
    }
    add("virus.com.gz", &nested(1));
    gzip(&archive.into_inner().unwrap())
}

/// The virus in so many archives, one in the other.
fn nested(archives: u32) -> Vec<u8> {
    (0..archives).fold(eicar().into_bytes(), |inner, _| gzip(&inner))
}

/// What no archive makes smaller.
fn noise(size: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(1);
    std::iter::repeat_with(|| random.u8(..)).take(size).collect()
}

/// A newsletter's link: it counts clicks, and its text names the server that it leads to in the end.
fn with_tracked_link(mark: &str) -> String {
    let headers = headers("someone@outside.test", ALICE.0, mark);
    format!(
        "{headers}MIME-Version: 1.0\nContent-Type: text/html\n\n<html><body>\
         <a href=\"http://track.news.example/c/123\">https://www.bank.example/login</a></body></html>\n"
    )
}

#[test]
fn mail_says_whether_it_was_scanned_completely() {
    let stack = stack::shared();
    for attached in [behind(100), nested(5)] {
        let reply = send(&stack, &with_attachment(&mark("deep"), &attached));
        assert!(reply.code == 550 && reply.text.contains("Virus found: Eicar"), "{reply:?}");
    }
    for (attached, limit) in [(behind(11_000), "MaxFiles"), (nested(20), "MaxRecursion")] {
        let mark = mark("too-deep");
        // What the sender says of it doesn't count.
        let mail = format!("X-Virus-Status: Clean\n{}", with_attachment(&mark, &attached));
        assert_eq!(send(&stack, &mail).code, 250);
        let header = format!("X-Virus-Status: Not scanned completely (Heuristics.Limits.Exceeded.{limit})");
        let arrived = stack.mailbox(ALICE).wait_for_message(&mark);
        assert!(arrived.contains(&header) && !arrived.contains("X-Virus-Status: Clean"), "no {header}");
    }
    let link = mark("tracked-link");
    assert_eq!(send(&stack, &with_tracked_link(&link)).code, 250);
    assert!(stack.mailbox(ALICE).wait_for_message(&link).contains("X-Virus-Status: Clean"));
    let forged = format!("X-Virus-Status: Clean\n{}", with_attachment(&mark("forged"), eicar().as_bytes()));
    assert_eq!(send(&stack, &forged).code, 550);
}

/// Beyond its own limits of MIME, ClamAV doesn't look at the rest of a mail.
#[test]
fn a_virus_behind_too_many_parameters_is_refused() {
    let stack = stack::shared();
    let mail = with_attachment(&mark("parameters"), eicar().as_bytes());
    let parameters = format!("Content-Type: text/plain{}\n", ";\n a=1".repeat(300));
    let reply = send(&stack, &mail.replace("Content-Type: text/plain\n", &parameters));
    assert_eq!(reply.code, 550, "{reply:?}");
}

#[test]
fn large_mails_are_scanned_at_the_same_time() {
    let stack = stack::exclusive();
    let mails: Vec<String> =
        (0..4).map(|_| with_attachment(&mark("large"), &noise(17_200_000 + fastrand::usize(..1000)))).collect();
    assert!(mails.iter().all(|mail| mail.len() > 23_000_000));
    let began = Instant::now();
    let codes: Vec<u16> = std::thread::scope(|scope| {
        let sent: Vec<_> = mails.iter().map(|mail| scope.spawn(|| send(&stack, mail).code)).collect();
        sent.into_iter().map(|sent| sent.join().unwrap()).collect()
    });
    eprintln!("four mails of 23 MB at once: {:.1?}", began.elapsed());
    assert_eq!(codes, [250; 4]);
}

#[test]
fn the_site_says_how_strict_the_scanner_is_and_how_large_mail_may_be() {
    let stack = stack::exclusive();
    let before = stack.set([
        ("antivirus", "refuse-unscanned", true.into()),
        ("antivirus", "phishing-links", true.into()),
        ("limits", "message-size", 60_000_000.into()),
    ]);
    // What freshclam and the milter leave behind when they are killed.
    let leave = "mkdir -p tmp.left/x tmp/left && touch tmp.left/x/y tmp/left.tmp";
    let container = stack.container("clamav");
    engine::docker(["exec", "-w", "/var/lib/clamav", &container, "sh", "-c", leave]);
    engine::docker(["restart", &container]);
    stack.wait_until_healthy("clamav");
    let left = engine::docker(["exec", &container, "sh", "-c", "cd /var/lib/clamav && echo tmp.left* tmp/left*"]);
    let replies = [with_attachment(&mark("too-deep"), &behind(11_000)), with_tracked_link(&mark("link"))]
        .map(|mail| send(&stack, &mail));
    let mark = mark("huge");
    let huge = with_attachment(&mark, &noise(37_500_000));
    let accepted = send(&stack, &huge);
    let infected = send(&stack, &huge.replace("\n--b--", &format!("\n--b\n\n{}\n--b--", eicar())));
    stack.restore(&before);

    assert_eq!(left, "tmp.left* tmp/left*\n");
    let [unscanned, link] = replies;
    assert!(unscanned.code == 550 && unscanned.text.contains("can't be scanned completely"), "{unscanned:?}");
    assert!(link.code == 550 && link.text.contains("Phishing"), "{link:?}");
    assert!(huge.len() > 50_000_000 && accepted.code == 250, "{accepted:?}");
    assert!(infected.code == 550 && infected.text.contains("Virus found: Eicar"), "{infected:?}");
}

#[test]
fn a_virus_from_our_own_user_is_refused() {
    let stack = stack::shared();
    let attachment =
        Attachment::new("eicar.com".to_owned()).body(eicar(), ContentType::parse("application/octet-stream").unwrap());
    let mail = Message::builder()
        .from(ALICE.0.parse().unwrap())
        .to(BOB.0.parse().unwrap())
        .subject(mark("virus"))
        .multipart(
            lettre::message::MultiPart::mixed()
                .singlepart(SinglePart::plain("Look at this.".to_owned()))
                .singlepart(attachment),
        )
        .unwrap();
    let error = client(&stack, 465, Mechanism::Plain, ALICE).send(&mail).unwrap_err();
    assert_eq!(error.status().map(|code| code.to_string()), Some("550".to_owned()), "{error}");
}

#[test]
fn while_the_scanner_is_away_mail_is_deferred() {
    let stack = stack::exclusive();
    stack.compose(&["stop", "-t", "10", "clamav"]);
    let mut smtp = Smtp::open(stack.address(25));
    let reply = smtp.send("someone@outside.test", ALICE.0, &message("someone@outside.test", ALICE.0, "deferred"));
    stack.compose(&["start", "clamav"]);
    stack.wait_until_healthy("clamav");
    assert_eq!(reply.code, 451, "{reply:?}");
    // Afterwards, it is accepted.
    let mark = mark("after-the-scanner-was-away");
    deliver(&stack, ALICE.0, &mark);
    stack.mailbox(ALICE).wait_for_message(&mark);
}
