//! Load balancers name their clients with the PROXY protocol, where the site lets them.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::common::{engine, wait_for};
use crate::load::OWN_ADDRESSES;
use crate::stack::{self, ALICE, BOB, Stack, mark};

/// The ports of load balancers.
const PORTS: [u16; 4] = [20025, 20465, 20587, 20993];

/// A load balancer, with an address in a named network (`own[0]`) and another (`own[1]`). It prints a line for each
/// connection: a name, a tab, and what came of it.
const BALANCER: &str = r#"
import imaplib, smtplib, socket, ssl, struct
context = ssl._create_unverified_context()

def v1(client):
    family, ours = ("TCP6", "2001:db8::1") if ":" in client else ("TCP4", "198.51.100.1")
    return f"PROXY {family} {client} {ours} 4711 25\r\n".encode()

def v2(client):
    family, size, kind = (socket.AF_INET6, 16, 0x21) if ":" in client else (socket.AF_INET, 4, 0x11)
    addresses = socket.inet_pton(family, client) + bytes(size) + struct.pack("!HH", 4711, 25)
    return SIGNATURE + struct.pack("!BBH", 0x21, kind, len(addresses)) + addresses

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
UNKNOWN = b"PROXY UNKNOWN\r\n"
LOCAL = SIGNATURE + struct.pack("!BBH", 0x20, 0, 0)

def dial(port, header, source):
    host = "dovecot" if port % 1000 == 993 else "postfix"
    connection = socket.create_connection((host, port), timeout=30, source_address=(source, 0))
    connection.sendall(header)
    return connection

def tell(name, talk, *words):
    try:
        outcome = talk(*words)
    except Exception as error:
        outcome = repr(error)
    print(name, outcome, sep="\t", flush=True)

class Smtp(smtplib.SMTP):
    def __init__(self, port, header):
        self.header = header
        super().__init__("mail", port, "client.outside.test", timeout=60)

    def _get_socket(self, host, port, timeout):
        connection = dial(port, self.header, own[0])
        return context.wrap_socket(connection) if port == 20465 else connection

class Imap(imaplib.IMAP4):
    def __init__(self, port, header):
        self.header = header
        super().__init__("mail", port)

    def _create_socket(self, timeout):
        return context.wrap_socket(dial(self.port, self.header, own[0]))

def send(port, header, sender, recipient, subject, login=None):
    with Smtp(port, header) as smtp:
        if port == 20587:
            smtp.starttls(context=context)
        if login:
            smtp.login(*login)
        headers = [f"From: {sender}", f"To: {recipient}", f"Subject: {subject}", "Date: Thu, 1 Jan 2026 00:00:00 +0000"]
        smtp.sendmail(sender, [recipient], "\r\n".join([*headers, "", "Hello.", ""]))
    return "sent"

def log_in(port, header, user, password):
    imap = Imap(port, header)
    imap.login(user, password)
    imap.logout()
    return "logged in"

def first(port, header, source):
    """What the server says first."""
    with dial(port, header, source) as connection:
        return connection.recv(200)
"#;

/// What came of each connection.
fn outcomes(printed: &str) -> BTreeMap<&str, &str> {
    printed.lines().map(|line| line.split_once('\t').unwrap()).collect()
}

fn balance(stack: &Stack, connections: &str) -> String {
    stack.run_elsewhere(&format!("addresses = 2\n{OWN_ADDRESSES}{BALANCER}{connections}"))
}

/// Names the load balancer's first address in mailimg.toml. Returns the site's file as it was before.
fn let_in(stack: &Stack, postscreen: bool) -> String {
    let own = stack.run_elsewhere(&format!("addresses = 1\n{OWN_ADDRESSES}print(own[0])"));
    let site: toml::Table = stack.project.read("mailimg.toml").parse().unwrap();
    let mut ports = site["publish"]["ports"].clone();
    for port in PORTS {
        ports.as_table_mut().unwrap().insert(port.to_string(), i64::from(stack::free_port()).into());
    }
    stack.set([
        ("proxy", "networks", vec![format!("{}/32", own.trim())].into()),
        ("publish", "ports", ports),
        ("smtp", "postscreen", postscreen.into()),
    ])
}

fn published(stack: &Stack) -> bool {
    let bindings =
        ["postfix", "dovecot"].map(|it| engine::inspect(&stack.container(it), "{{json .HostConfig.PortBindings}}"));
    let count = PORTS.iter().filter(|port| bindings.concat().contains(&format!("\"{port}/tcp\""))).count();
    assert!(count == 0 || count == PORTS.len(), "{bindings:?}");
    count > 0
}

#[test]
fn load_balancers_in_named_networks_name_their_clients() {
    let stack = stack::exclusive();
    assert!(!published(&stack));
    let ((alice, password), (bob, _)) = (ALICE, BOB);
    let [incoming, submitted, sealed] = ["incoming", "submitted", "sealed"].map(mark);
    let before = let_in(&stack, true);
    assert!(published(&stack));
    let printed = balance(
        &stack,
        &format!(
            r#"
login = ("{alice}", "{password}")
wrong = ("{alice}", "wrong")
tell("25", send, 20025, v1("203.0.113.1"), "someone@outside.test", "{alice}", "{incoming}")
tell("25 in binary", first, 20025, v2("2001:db8::2"), own[0])
tell("587", send, 20587, v2("203.0.113.3"), "{alice}", "{bob}", "{submitted}", login)
tell("587, wrong", send, 20587, v1("203.0.113.4"), "{alice}", "{bob}", "", wrong)
tell("465", send, 20465, v1("2001:db8::5"), "{alice}", "{bob}", "{sealed}", login)
tell("993", log_in, 20993, v1("203.0.113.6"), *login)
tell("993, wrong", log_in, 20993, v2("2001:db8::7"), *wrong)
# What names no client must not pass for the container itself.
for name, header in {{"local": LOCAL, "itself": v1("127.0.0.1"), "itself in binary": v2("127.1.2.3"),
                     "itself, IPv6": v2("::1"), "itself, mapped": v1("::ffff:127.0.0.1")}}.items():
    tell(name, send, 20025, header, "{alice}", "someone@outside.example", "")
    tell(name + ", to us", send, 20025, header, "someone@outside.test", "{alice}", "")
# Postfix doesn't take this one.
tell("unknown", first, 20025, UNKNOWN, own[0])
# Others are let in nowhere, with a header or without.
for port in (20025, 20465, 20587, 20993):
    tell(f"stranger on {{port}}", first, port, v1("203.0.113.8"), own[1])
    tell(f"silent stranger on {{port}}", first, port, b"", own[1])
# A load balancer must send a header.
tell("no header", first, 20025, b"EHLO client.outside.test\r\n", own[0])
# The ports of everybody else take none.
for port in (25, 465, 587, 993):
    tell(f"header on {{port}}", first, port, v1("203.0.113.9"), own[0])
print("strangers", own[1], sep="\t")
"#
        ),
    );
    let postfix = engine::logs(&stack.container("postfix"));
    let dovecot = engine::logs(&stack.container("dovecot"));
    stack.restore(&before);

    assert!(!published(&stack));
    eprintln!("{printed}");
    let outcomes = outcomes(&printed);
    let is = |name: &str, expected: &str| assert!(outcomes[name].contains(expected), "{name}: {}", outcomes[name]);
    let logged = |log: &str, parts: &[&str]| {
        assert!(log.lines().any(|line| parts.iter().all(|part| line.contains(part))), "{parts:?} in {log}");
    };
    for name in ["25", "587", "465"] {
        is(name, "sent");
    }
    is("25 in binary", "220");
    is("993", "logged in");
    is("587, wrong", "535");
    is("993, wrong", "AUTHENTICATIONFAILED");
    logged(&postfix, &["postfix/postscreen[", "CONNECT from [203.0.113.1]:4711"]);
    logged(&postfix, &["postfix/smtpd[", "client=unknown[203.0.113.1]"]);
    logged(&postfix, &["postfix/postscreen[", "CONNECT from [2001:db8::2]:4711"]);
    logged(&postfix, &["postfix/submission/smtpd[", "client=unknown[203.0.113.3], sasl_method=", alice]);
    logged(&postfix, &["postfix/submission/smtpd[", "unknown[203.0.113.4]: SASL ", "authentication failed"]);
    logged(&postfix, &["postfix/submissions/smtpd[", "client=unknown[2001:db8::5], sasl_method=", alice]);
    logged(&dovecot, &["Logged in", alice, "rip=203.0.113.6"]);
    logged(&dovecot, &["auth failed", "rip=2001:db8::7"]);
    let received = stack.mailbox(ALICE).wait_for_message(&incoming);
    assert!(received.contains("[203.0.113.1]"), "{received}");
    let bobs = stack.mailbox(BOB);
    for mail in [&submitted, &sealed] {
        wait_for("the submitted mail", Duration::from_secs(30), || bobs.find("INBOX", mail));
    }

    for name in ["local", "itself", "itself in binary", "itself, IPv6", "itself, mapped"] {
        is(name, "Client host rejected: the load balancer doesn't say");
        is(&format!("{name}, to us"), "Client host rejected: the load balancer doesn't say");
    }
    for port in PORTS {
        for name in ["stranger", "silent stranger"] {
            let outcome = outcomes[format!("{name} on {port}").as_str()];
            assert!(outcome == "b''" || outcome.starts_with("ConnectionResetError"), "{name} on {port}: {outcome}");
        }
    }
    logged(&postfix, &[&format!("gate: {} isn't in proxy.networks: disconnected", outcomes["strangers"])]);
    for name in ["no header", "unknown"] {
        is(name, "421 4.3.2");
    }
    for port in [25, 465, 587, 993] {
        assert!(!outcomes[format!("header on {port}").as_str()].is_empty());
    }
    for log in [&postfix, &dovecot] {
        for address in ["[203.0.113.8]", "[203.0.113.9]", "rip=203.0.113.8", "rip=203.0.113.9", "gate: 127."] {
            assert!(!log.contains(address), "{address} in {log}");
        }
    }
}

/// Without postscreen, other processes take these connections.
#[test]
fn load_balancers_need_no_postscreen_and_their_crowds_little_memory() {
    let stack = stack::exclusive();
    let incoming = mark("incoming");
    let before = let_in(&stack, false);
    let container = stack.container("postfix");
    let alice = ALICE.0;
    let printed = balance(
        &stack,
        &format!(
            r#"
tell("25", send, 20025, v1("203.0.113.21"), "someone@outside.test", "{alice}", "{incoming}")
tell("local", send, 20025, LOCAL, "{alice}", "someone@outside.example", "")
"#
        ),
    );
    // More than the gate passes on at a time.
    let crowd = stack.start_elsewhere(&format!(
        "addresses = 2\n{OWN_ADDRESSES}{BALANCER}
crowd = [dial(20587, v1(f\"203.0.113.{{100 + number % 100}}\"), own[0]) for number in range(400)]
print(\"all are there\", flush=True)
import time; time.sleep(3600)"
    ));
    wait_for("the crowd", Duration::from_secs(30), || {
        engine::logs(&crowd.name).contains("all are there").then_some(())
    });
    let memory = gate_memory(&container);
    let log = engine::logs(&container);
    stack.restore(&before);

    eprintln!("{printed}the gate uses {memory} kB beside 400 connections");
    assert_eq!(outcomes(&printed)["25"], "sent");
    assert!(outcomes(&printed)["local"].contains("Client host rejected"));
    assert!(log.contains("client=unknown[203.0.113.21]") && !log.contains("postscreen["), "{log}");
    assert!(log.contains("postfix/submission/smtpd[") && log.contains("connect from unknown[203.0.113.100]"), "{log}");
    assert!(memory < 24 * 1024, "{memory} kB");
}

/// The memory of its own that `gate` uses, in kB.
fn gate_memory(container: &str) -> u32 {
    let program = r#"
import pathlib
for process in pathlib.Path("/proc").glob("[0-9]*"):
    words = (process / "cmdline").read_bytes().split(b"\0")
    if words[1:2] == [b"/usr/local/libexec/mailimg/gate"]:
        status = (process / "status").read_text()
        print(status.split("RssAnon:")[1].split()[0])
"#;
    let (_, found) = engine::exec(container, &["python3", "-c", program]);
    found.trim().parse().unwrap_or_else(|_| panic!("{found:?} is not the memory of one process"))
}
