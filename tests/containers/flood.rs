//! Strangers in great numbers: passwords tried at a steady rate, and connections opened as fast as a client can.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::common::smtp::Smtp;
use crate::common::{count, engine, wait_for};
use crate::load::{self, OWN_ADDRESSES, legitimate_work, memory_during, subjects};
use crate::stack::{self, ALICE, BOB, Elsewhere, LOST, Stack, deliver, mark, message};

/// Makes 500 guesses a minute.
const PACE: Duration = Duration::from_millis(120);

/// How long a user may wait for a login meanwhile.
const PATIENCE: Duration = Duration::from_secs(15);

#[test]
fn five_hundred_wrong_passwords_a_minute_keep_no_user_out() {
    let stack = stack::quiet();
    let containers = stack::SERVICES.map(|service| stack.container(service));
    let before = (stack.started(), stack.said_in_dovecot(LOST));
    let guesses = count(100, 500);
    for addresses in [1, 20] {
        let logged_before = logged_guesses(&stack);
        let crowd = stack.start_elsewhere(&format!(
            "guesses, addresses, pace = {guesses}, {addresses}, {}\n{OWN_ADDRESSES}{GUESSERS}",
            PACE.as_secs_f64()
        ));
        let (slowest, memory) = memory_during(&containers, || work_until_done(&stack, &crowd));
        let output = engine::logs(&crowd.name);
        eprintln!("{guesses} guesses from {addresses} addresses: logins took up to {slowest:.1?}; memory {memory:?}");
        assert!(memory.iter().all(|share| *share < 90), "{memory:?}");
        assert!(slowest < PATIENCE, "{slowest:?}");
        let nominal = PACE * u32::try_from(guesses).unwrap();
        assert!(seconds_after(&output, "all were made within ") < nominal.mul_f64(1.2), "{output}");

        // Every one of them was answered, and logged under the address that it came from. On a slow machine, an address
        // may have more connections at once than the server allows.
        let made = refused_guesses(&output);
        let answered: usize = made.values().sum();
        assert_eq!(answered + output.matches("421, b'4.7.0").count(), guesses, "{output}");
        assert_eq!(made.len(), 2 * addresses, "{made:?}");
        let logged = wait_for("the guesses in the logs", Duration::from_secs(20), || {
            let mut logged = logged_guesses(&stack);
            for (key, earlier) in &logged_before {
                *logged.entry(key.clone()).or_default() -= earlier;
            }
            logged.retain(|key, _| made.contains_key(key));
            (logged.values().sum::<usize>() >= answered).then_some(logged)
        });
        assert_eq!(logged, made);
    }
    let after = (stack.started(), stack.said_in_dovecot(LOST));
    assert_eq!(after, before, "a container was restarted, or Dovecot's processes were replaced");
}

/// Tries a wrong password at each tick, by turns over IMAP and submission, and prints how each attempt was answered.
const GUESSERS: &str = r#"
import base64, smtplib, socket, ssl, threading, time
context = ssl._create_unverified_context()
token = base64.b64encode(b"\0alice@example.test\0a wrong password").decode()

def imap(source):
    with socket.create_connection(("dovecot", 993), timeout=60, source_address=(source, 0)) as plain:
        with context.wrap_socket(plain, server_hostname="mail.example.test") as client:
            client.sendall(b'a LOGIN alice@example.test "a wrong password"\r\n')
            for line in client.makefile("rb"):
                if line.startswith(b"a "):
                    return "refused" if line.startswith(b"a NO [AUTHENTICATIONFAILED]") else line

def submission(source):
    client = smtplib.SMTP("postfix", 587, "client.outside.test", timeout=60, source_address=(source, 0))
    try:
        client.starttls(context=context)
        client.ehlo()
        code, text = client.docmd("AUTH PLAIN", token)
        return "refused" if code == 535 else (code, text)
    finally:
        # Without QUIT: when all its processes are busy, Postfix hangs up after an error.
        client.close()

def guess(service, source):
    try:
        outcome = service(source)
    except Exception as error:
        outcome = repr(error)
    print(service.__name__, source, outcome, flush=True)

began = time.monotonic()
threads = []
for number in range(guesses):
    time.sleep(max(0, began + number * pace - time.monotonic()))
    service = (imap, submission)[number % 2]
    threads.append(threading.Thread(target=guess, args=(service, own[number // 2 % addresses])))
    threads[-1].start()
print("all were made within", time.monotonic() - began, "s", flush=True)
for thread in threads:
    thread.join()
print("all were answered within", time.monotonic() - began, "s", flush=True)
time.sleep(3600)
"#;

/// Logs in and delivers mail for as long as the crowd guesses. All mail must arrive. Returns the time of the slowest login.
fn work_until_done(stack: &Stack, crowd: &Elsewhere) -> Duration {
    let (run, began) = (mark("beside-guesses"), Instant::now());
    let (mut slowest, mut mails) = (Duration::ZERO, 0);
    while !engine::logs(&crowd.name).contains("all were answered") {
        assert!(began.elapsed() < Duration::from_mins(3), "the crowd doesn't end: {}", engine::logs(&crowd.name));
        deliver(stack, BOB.0, &format!("{run}-{mails}"));
        let from_user = message(ALICE.0, BOB.0, &format!("{run}-{}", mails + 1));
        let login = Instant::now();
        let mut smtp = submit_in_time(stack, login);
        slowest = slowest.max(login.elapsed());
        assert_eq!(smtp.send(ALICE.0, BOB.0, &from_user).code, 250);
        smtp.say("QUIT");
        let login = Instant::now();
        assert!(stack.mailbox(ALICE).can_login());
        slowest = slowest.max(login.elapsed());
        mails += 2;
    }
    wait_for("the mail sent beside the guesses", Duration::from_mins(1), || {
        (subjects(stack, &run).len() == mails).then_some(())
    });
    eprintln!("{mails} mails arrived beside the guesses");
    slowest
}

/// Logs in. While the server can't say whether a password is right, it answers 454, and mail programs try again.
fn submit_in_time(stack: &Stack, began: Instant) -> Smtp {
    loop {
        let mut smtp = Smtp::open(stack.address(587));
        smtp.starttls();
        let reply = smtp.auth(ALICE.0, ALICE.1);
        if reply.code == 235 {
            return smtp;
        }
        assert!(reply.code == 454 && began.elapsed() < PATIENCE, "{reply:?} after {:?}", began.elapsed());
    }
}

/// How many guesses were refused as wrong passwords, by service and address.
fn refused_guesses(output: &str) -> BTreeMap<(&'static str, String), usize> {
    let mut found = BTreeMap::new();
    for line in output.lines() {
        for (service, kind) in [("dovecot", "imap "), ("postfix", "submission ")] {
            if let Some(address) = line.strip_prefix(kind).and_then(|rest| rest.strip_suffix(" refused")) {
                *found.entry((service, address.to_owned())).or_default() += 1;
            }
        }
    }
    found
}

/// How many guesses are logged, by service and address.
fn logged_guesses(stack: &Stack) -> BTreeMap<(&'static str, String), usize> {
    let mut found = BTreeMap::new();
    let between = |line: &str, start: &str, end: &str| Some(line.split_once(start)?.1.split_once(end)?.0.to_owned());
    for line in engine::logs(&stack.container("dovecot")).lines().filter(|line| line.contains("(auth failed, ")) {
        if let Some(address) = between(line, "rip=", ",") {
            *found.entry(("dovecot", address)).or_default() += 1;
        }
    }
    for line in engine::logs(&stack.container("postfix")).lines() {
        if let Some(address) = between(line, "[", "]: SASL PLAIN authentication failed") {
            // The process id stands in brackets, too.
            let address = address.rsplit('[').next().unwrap_or_default().to_owned();
            *found.entry(("postfix", address)).or_default() += 1;
        }
    }
    found
}

/// The time that follows a text, in seconds.
fn seconds_after(output: &str, text: &str) -> Duration {
    let rest = output.split_once(text).unwrap_or_else(|| panic!("no {text:?} in {output}")).1;
    Duration::from_secs_f64(rest.split_whitespace().next().unwrap().parse().unwrap())
}

/// In total, on all ports, from a hundred addresses at once. They stay open until the server ends them or half a minute
/// has passed.
#[test]
fn ten_thousand_connections_do_not_bring_the_server_down() {
    let stack = stack::quiet();
    let containers = stack::SERVICES.map(|service| stack.container(service));
    let before = (stack.started(), stack.said_in_dovecot(LOST));
    // Postfix knows this client from now on.
    legitimate_work(&stack);
    let connections = count(2000, 10_000);
    let flood = stack.start_elsewhere(&format!(
        "connections, addresses, seconds = {connections}, 100, {}\n{OWN_ADDRESSES}{FLOOD}",
        FLOODED.as_secs()
    ));
    wait_for("the flood", Duration::from_mins(1), || {
        engine::logs(&flood.name).contains("all were opened").then_some(())
    });
    let (took, memory) = memory_during(&containers, || work_in_the_flood(&stack));
    wait_for("the end of the flood", Duration::from_mins(2), || {
        engine::logs(&flood.name).contains("the end").then_some(())
    });
    eprintln!("{}", engine::logs(&flood.name));
    eprintln!("beside {connections} connections: {took:.1?}; memory {memory:?}");
    assert!(memory.iter().all(|share| *share < 90), "{memory:?}");
    // A client whose packets the full ports dropped sends them again after up to 16 seconds.
    assert!(took.iter().sum::<Duration>() < FLOODED + Duration::from_secs(20), "{took:?}");

    let after = legitimate_work(&stack);
    eprintln!("after it: {after:.1?}");
    assert!(after.iter().sum::<Duration>() < Duration::from_secs(20), "{after:?}");
    // What Dovecot keeps of it leaves room for all sessions, before and after a reload.
    let kept = load::memory(&stack.container("dovecot")).unwrap();
    eprintln!("Dovecot keeps {kept} % of its memory");
    assert!(kept < 42, "{kept}");
    let after = (stack.started(), stack.said_in_dovecot(LOST));
    assert_eq!(after, before, "a container was restarted, or Dovecot's processes were replaced");
}

/// A mail from another server, which tries again when it is told to, and one from a user. Returns how long each took until
/// it was accepted, and how long after that both were in the mailbox.
fn work_in_the_flood(stack: &Stack) -> [Duration; 3] {
    let (incoming, submitted) = (mark("incoming"), mark("submitted"));
    let began = Instant::now();
    let greeted = |port| {
        let mut smtp = wait_for("a greeting", FLOODED + Duration::from_secs(20), || {
            let (smtp, greeting) = Smtp::try_connect(stack.address(port), PATIENCE)?;
            assert!([220, 421].contains(&greeting.code), "{greeting:?}");
            (greeting.code == 220).then_some(smtp)
        });
        smtp.expect("EHLO client.outside.test", 250);
        smtp
    };
    let from = "someone@outside.test";
    assert_eq!(greeted(25).send(from, BOB.0, &message(from, BOB.0, &incoming)).code, 250);
    let first = Instant::now();
    let mut smtp = greeted(587);
    smtp.starttls();
    assert_eq!(smtp.auth(ALICE.0, ALICE.1).code, 235);
    assert_eq!(smtp.send(ALICE.0, BOB.0, &message(ALICE.0, BOB.0, &submitted)).code, 250);
    let second = Instant::now();
    for mark in [&incoming, &submitted] {
        stack.mailbox(BOB).wait_for_message(mark);
    }
    [first.duration_since(began), second.duration_since(first), second.elapsed()]
}

const FLOODED: Duration = Duration::from_secs(30);

/// Opens connections to all ports without a pause, and counts what becomes of them.
const FLOOD: &str = r#"
import collections, selectors, socket, time
hosts = {port: socket.gethostbyname(name) for name, ports in (("postfix", (25, 465, 587)), ("dovecot", (993,))) for port in ports}
ports = list(hosts)
selector = selectors.DefaultSelector()
fates = {port: collections.Counter() for port in ports}

began = time.monotonic()
for number in range(connections):
    port = ports[number % len(ports)]
    client = socket.socket()
    client.setblocking(False)
    client.bind((own[number // len(ports) % addresses], 0))
    client.connect_ex((hosts[port], port))
    selector.register(client, selectors.EVENT_READ | selectors.EVENT_WRITE, port)
print("all were opened within", time.monotonic() - began, "s", flush=True)
while (left := began + seconds - time.monotonic()) > 0:
    for key, ready in selector.select(timeout=left):
        fate = fates[key.data]
        try:
            if ready & selectors.EVENT_READ:
                text = key.fileobj.recv(4096)
                fate["greeted"] += text.startswith((b"220", b"* OK"))
                fate["refused"] += text.startswith((b"421", b"* BYE"))
                closed = not text
            else:
                fate["connected"] += 1
                selector.modify(key.fileobj, selectors.EVENT_READ, key.data)
                closed = False
        except OSError:
            closed = True
        if closed:
            fate["closed"] += 1
            selector.unregister(key.fileobj)
            key.fileobj.close()
for port, fate in fates.items():
    print(port, dict(fate))
print("the end", flush=True)
"#;
