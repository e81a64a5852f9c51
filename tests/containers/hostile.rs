//! What strangers send to break, fill or fool the server. Whatever it answers, it stays up and serves others.

use std::io::Write as _;
use std::time::{Duration, Instant};

use crate::common::imap::Mailbox;
use crate::common::packages::gzip;
use crate::common::smtp::{Reply, Smtp};
use crate::common::{count, engine, wait_for};
use crate::load::{OWN_ADDRESSES, legitimate_work, memory_during};
use crate::stack::{self, ALICE, BOB, DOMAIN, Stack, base64_lines, headers, mark, message};

const STRANGER: &str = "someone@outside.test";

/// How long the answer to one message may take.
const PATIENCE: Duration = Duration::from_mins(5);

#[test]
fn odd_recipients_are_refused() {
    let stack = stack::exclusive();
    let before = (stack.started(), stack.mailimg(&["user", "list"], ""));
    let long = "a".repeat(1000);
    for recipient in [
        "alice' OR '1'='1@example.test",
        "\"' OR 1=1 -- \"@example.test",
        "\"'; DROP TABLE virtual_users; -- \"@example.test",
        "alice%@example.test",
        "_lice@example.test",
        "../../etc/passwd@example.test",
        "\"../../../etc/passwd\"@example.test",
        "alice@../example.test",
        "alice@example.test/../second.test",
        "alice@example.test%00.outside.test",
        "al\u{1}ice@example.test",
        "alice\0@example.test",
        "alice\u{7f}@example.test",
        "ali\u{e9}e@example.test",
        "|/bin/sh@example.test",
        "/etc/passwd@example.test",
        ":include:/etc/passwd@example.test",
        "alice@outside.test@example.net",
        "alice%outside.test@example.net",
        "outside.test!alice@example.net",
        &format!("{long}@example.test"),
        &format!("alice@{long}.example.test"),
        "",
    ] {
        let mut smtp = Smtp::open(stack.address(25));
        smtp.expect(&format!("MAIL FROM:<{STRANGER}>"), 250);
        let reply = smtp.say(&format!("RCPT TO:<{recipient}>"));
        assert!((500..600).contains(&reply.code), "{recipient:?}: {reply:?}");
    }
    assert_eq!((stack.started(), stack.mailimg(&["user", "list"], "")), before);
}

#[test]
fn odd_names_do_not_log_in() {
    let stack = stack::exclusive();
    let before = stack.started();
    let long = format!("{}@{DOMAIN}", "a".repeat(4000));
    for user in [
        "alice@example.test' OR '1'='1",
        "' OR 1=1 -- ",
        "'; DROP TABLE virtual_users; -- ",
        "%@example.test",
        "alice@example.test\u{1}",
        "../alice@example.test",
        "alice@../example.test",
        "alice@example.test\" OR \"\"=\"",
        "alice@example.test*bob@example.test",
        "",
        &long,
    ] {
        let mut smtp = Smtp::open(stack.address(587));
        smtp.starttls();
        let reply = smtp.auth(user, ALICE.1);
        assert!((500..600).contains(&reply.code), "{user:?}: {reply:?}");
        let mailbox = Mailbox { user: user.to_owned(), ..stack.mailbox(ALICE) };
        assert!(!mailbox.can_login(), "{user:?}");
    }
    assert!(stack.mailbox(ALICE).can_login());
    assert_eq!(stack.started(), before, "a container was restarted");
}

#[test]
fn a_message_beyond_the_limit_is_refused() {
    let stack = stack::exclusive();
    let megabytes = count(64, 1024);
    let mut smtp = Smtp::open(stack.address(25));
    let declared = smtp.say(&format!("MAIL FROM:<{STRANGER}> SIZE={}", megabytes * 1_000_000));
    assert_eq!(declared.code, 552, "{declared:?}");

    let start = message(STRANGER, ALICE.0, "large").replace('\n', "\r\n");
    let piece = "A line of a mail that says nothing at all, and says that often.\r\n".repeat(1_000_000 / 65);
    let (reply, took, memory) = survives(&stack, |smtp| {
        smtp.start_message(STRANGER, ALICE.0);
        smtp.write(start.as_bytes()).unwrap();
        (0..megabytes).try_for_each(|_| smtp.write(piece.as_bytes())).unwrap();
        smtp.say("\r\n.")
    });
    eprintln!("{megabytes} MB refused in {took:.1?}; memory {memory:?}");
    assert_eq!(reply.code, 552, "{reply:?}");
}

#[test]
fn headers_without_end_are_bounded() {
    let stack = stack::exclusive();
    let megabytes = count(30, 100);
    let one = format!("X-Filler: {}\r\n", "x".repeat(900));
    for (name, piece, megabytes) in [
        // Each beyond the limit of a message, or below it.
        ("many headers", one.repeat(1100), megabytes),
        ("many headers", one.repeat(1100), 20),
        ("one header", format!(" {}\r\n", "x".repeat(900)).repeat(1100), megabytes),
        ("one header", format!(" {}\r\n", "x".repeat(900)).repeat(1100), 20),
    ] {
        let (reply, took, memory) = survives(&stack, |smtp| {
            smtp.start_message(STRANGER, ALICE.0);
            smtp.write(
                format!("{}X-First: 1\r\n", headers(STRANGER, ALICE.0, "headers").replace('\n', "\r\n")).as_bytes(),
            )
            .unwrap();
            (0..megabytes).try_for_each(|_| smtp.write(piece.as_bytes())).unwrap();
            smtp.say("X-Last: 1\r\n\r\nHello.\r\n.")
        });
        eprintln!("{megabytes} MB of {name}: {reply:?} in {took:.1?}; memory {memory:?}");
        assert!(reply.code == 552 || megabytes == 20 && reply.code == 550, "{reply:?}");
    }
}

#[test]
fn deeply_nested_mail_is_bounded() {
    let stack = stack::exclusive();
    let depth = count(2000, 10_000);
    let open = |level| format!("Content-Type: multipart/mixed; boundary=b{level}\n\n--b{level}\n");
    let opened: Vec<String> = (0..depth).map(open).collect();
    let closed: Vec<String> = (0..depth).rev().map(|level| format!("--b{level}--\n")).collect();
    let multiparts = format!("{}Content-Type: text/plain\n\nHello.\n{}", opened.concat(), closed.concat());
    let messages = "Content-Type: message/rfc822\n\n".repeat(depth) + "Subject: inner\n\nHello.\n";
    for (name, nested) in [("multiparts", multiparts), ("messages", messages)] {
        let mark = mark("nested");
        let mail = format!("{}MIME-Version: 1.0\n{nested}", headers(STRANGER, BOB.0, &mark));
        let (reply, took, memory) = survives(&stack, |smtp| smtp.send(STRANGER, BOB.0, &mail));
        eprintln!("{depth} nested {name}: {reply:?} in {took:.1?}; memory {memory:?}");
        if reply.code == 250 {
            stack.mailbox(BOB).wait_for_message(&mark);
        }
    }
}

#[test]
fn bombs_in_attachments_are_bounded() {
    let stack = stack::exclusive();
    let megabytes = count(512, 4096);
    let zeros = vec![0; 1_000_000];
    let bomb = compress(std::iter::repeat_n(zeros.as_slice(), megabytes));
    let in_layers = (0..10).fold(bomb.clone(), |inner, _| gzip(&inner));
    for (name, bomb) in [("bomb", bomb), ("bomb in ten layers", in_layers)] {
        let mark = mark("bomb");
        let mail = format!(
            "{}MIME-Version: 1.0\nContent-Type: application/gzip\nContent-Transfer-Encoding: base64\n\n{}\n",
            headers(STRANGER, BOB.0, &mark),
            base64_lines(&bomb)
        );
        let (reply, took, memory) = survives(&stack, |smtp| smtp.send(STRANGER, BOB.0, &mail));
        eprintln!("{name} of {megabytes} MB in {} bytes: {reply:?} in {took:.1?}; memory {memory:?}", bomb.len());
        assert_eq!(reply.code, 250, "{reply:?}");
        let arrived = stack.mailbox(BOB).wait_for_message(&mark);
        assert!(arrived.contains("X-Virus-Status: Not scanned completely"), "{name}");
    }
}

#[test]
fn a_from_that_cannot_be_read_is_refused() {
    let stack = stack::shared();
    let from = format!("From: {}{} <{STRANGER}>", "(".repeat(1000), ")".repeat(1000));
    let mail = message(STRANGER, BOB.0, &mark("comments")).replacen(&format!("From: <{STRANGER}>"), &from, 1);
    assert!(mail.contains(&from));
    let reply = Smtp::open(stack.address(25)).send(STRANGER, BOB.0, &mail);
    assert!((500..600).contains(&reply.code), "{reply:?}");
}

/// Each takes up a process for as long as the server lets it. There are 24.
#[test]
fn slow_clients_keep_nobody_out() {
    let stack = stack::exclusive();
    let before = stack.started();
    let clients = count(60, 200);
    let crowd = stack.start_elsewhere(&format!("clients, addresses = {clients}, 50\n{OWN_ADDRESSES}{SLOW}"));
    wait_for("the slow clients", Duration::from_mins(2), || {
        (engine::logs(&crowd.name).matches("in data").count() >= 24).then_some(())
    });
    let took = legitimate_work(&stack);
    eprintln!("beside {clients} slow clients: {took:.1?}");
    assert_eq!(stack.started(), before, "a container was restarted");
}

/// Clients with fifty addresses that send a byte of a mail now and then, and begin again when they are cut off.
const SLOW: &str = r#"
import socket, threading, time

def send_slowly(number):
    while True:
        try:
            with socket.create_connection(("postfix", 25), timeout=120, source_address=(own[number % addresses], 0)) as client:
                for line in (b"", b"EHLO slow.outside.test", b"MAIL FROM:<someone@outside.test>", b"RCPT TO:<alice@example.test>", b"DATA"):
                    if line: client.sendall(line + b"\r\n")
                    if not client.recv(4096): break
                else:
                    print("in data", flush=True)
                    client.sendall(b"Subject: slow\r\n\r\n")
                    while True:
                        time.sleep(3)
                        client.sendall(b"x")
        except OSError:
            pass
        time.sleep(1)

for number in range(clients):
    threading.Thread(target=send_slowly, args=(number,), daemon=True).start()
time.sleep(3600)
"#;

/// Lets a client send something hostile while the memory is watched, and checks that everything goes on afterwards.
/// Returns the answer, how long it took, and the memory in percent of the limits.
fn survives(stack: &Stack, send: impl FnOnce(&mut Smtp) -> Reply) -> (Reply, Duration, Vec<u64>) {
    let before = stack.started();
    let containers = stack::SERVICES.map(|service| stack.container(service));
    let began = Instant::now();
    let mut smtp = Smtp::open_within(stack.address(25), PATIENCE);
    let (reply, memory) = memory_during(&containers, || send(&mut smtp));
    let took = began.elapsed();
    legitimate_work(stack);
    assert_eq!(stack.started(), before, "a container was restarted");
    (reply, took, memory)
}

fn compress<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for piece in pieces {
        encoder.write_all(piece).unwrap();
    }
    encoder.finish().unwrap()
}
