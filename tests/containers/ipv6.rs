//! IPv6, where the site publishes its ports on such an address.

use std::net::{Ipv6Addr, SocketAddr};
use std::time::Duration;

use crate::common::dns::Record;
use crate::common::smtp::Smtp;
use crate::common::{engine, wait_for};
use crate::sink::Sink;
use crate::stack::{self, ALICE, BOB, Elsewhere, Stack, mark, message, wait_for_log};

/// A client that knows the server's IPv6 address alone. It prints its own, then a line for each thing that it did.
const CLIENT: &str = r#"
import imaplib, smtplib, socket, ssl
context = ssl._create_unverified_context()

def over_ipv6(name):
    return socket.getaddrinfo(name, None, socket.AF_INET6)[0][4][0]

postfix, dovecot = over_ipv6("postfix"), over_ipv6("dovecot")
with socket.create_connection((postfix, 25)) as connection:
    print(connection.getsockname()[0], flush=True)

def send(smtp, sender, recipient, subject):
    headers = [f"From: {sender}", f"To: {recipient}", f"Subject: {subject}", "Date: Thu, 1 Jan 2026 00:00:00 +0000"]
    smtp.sendmail(sender, [recipient], "\r\n".join([*headers, "", "Hello.", ""]))

with smtplib.SMTP(postfix, 25, "client.outside.test", timeout=60) as smtp:
    send(smtp, sender, alice[0], incoming)
with smtplib.SMTP_SSL(postfix, 465, "laptop", timeout=60, context=context) as smtp:
    smtp.login(*alice)
    send(smtp, alice[0], bob, submitted)
imap = imaplib.IMAP4_SSL(dovecot, 993, ssl_context=context)
imap.login(*alice)
imap.logout()
"#;

/// The version of the engine, without what comes after the major one.
fn engine_version() -> u32 {
    let version = engine::docker(["version", "--format", "{{.Server.Version}}"]);
    version.split('.').next().unwrap().parse().unwrap()
}

/// Another IPv6 address of this host, until it is dropped.
struct HostAddress {
    network: String,
    address: Ipv6Addr,
    /// Without a member, the network's bridge is down, and so is its address.
    member: Option<Elsewhere>,
}

impl HostAddress {
    fn new(stack: &Stack) -> Self {
        let network = mark("mailimg-test-address");
        let subnet = 0xfd << 120 | u128::from(fastrand::u64(..) >> 8) << 64;
        let address = Ipv6Addr::from(subnet | 1);
        let [subnet, gateway] = [format!("--subnet={}/64", Ipv6Addr::from(subnet)), format!("--gateway={address}")];
        let label = format!("--label={}={}", engine::LABEL, engine::run());
        // The engine would replace the address in connections to other networks.
        let unmasked = "--opt=com.docker.network.bridge.enable_ip_masquerade=false";
        engine::docker(["network", "create", "--ipv6", &subnet, &gateway, unmasked, &label, &network]);
        let member = Some(stack.start_in(&network, "import time; time.sleep(300)"));
        Self { network, address, member }
    }
}

impl Drop for HostAddress {
    fn drop(&mut self) {
        drop(self.member.take());
        engine::try_docker(["network", "rm", &self.network]);
    }
}

#[test]
fn mail_comes_and_goes_over_ipv6() {
    let stack = stack::exclusive();
    let before = stack.project.read("mailimg.toml");
    // The subnet is made from the name.
    stack.project.replace("mailimg.toml", "\"example-test\"", &format!("{:?}", mark("six")));
    stack.set([("publish", "bind", vec!["127.0.0.1", "::"].into())]);
    clients_come(&stack);
    mail_leaves(&stack);
    clients_are_seen(&stack);
    stack.restore(&before);
}

fn clients_come(stack: &Stack) {
    let [incoming, submitted, sender] = ["incoming", "submitted", "six"].map(mark);
    let sender = format!("someone@{sender}.outside.test");
    let (_, domain) = sender.split_once('@').unwrap();
    let subnets = "{{range .IPAM.Config}}{{.Subnet}} {{end}}";
    let subnets = engine::docker(["network", "inspect", "--format", subnets, &stack.outside_network()]);
    let subnet = subnets.split_whitespace().find(|subnet| subnet.starts_with("fd")).unwrap();
    stack.dns.add(domain, Record::Txt(format!("v=spf1 ip6:{subnet} -all")));
    let known = format!(
        "sender, alice, bob = {sender:?}, ({:?}, {:?}), {:?}\nincoming, submitted = {incoming:?}, {submitted:?}\n",
        ALICE.0, ALICE.1, BOB.0
    );
    let client: Ipv6Addr = stack.run_elsewhere(&(known + CLIENT)).trim().parse().unwrap();

    let mail = stack.mailbox(ALICE).wait_for_message(&incoming);
    assert!(mail.contains(&format!("[IPv6:{client}]")), "{mail}");
    assert!(mail.contains("spf=pass"), "{mail}");
    stack.mailbox(BOB).wait_for_message(&submitted);
    let login = format!("rip={client}");
    wait_for_log(&stack.container("dovecot"), "a login over IPv6", |log| log.contains(&login));
}

fn mail_leaves(stack: &Stack) {
    let sink = Sink::start_on_ipv6(stack, &mark("six-sink"));
    let (to, subject) = (format!("x@{}", sink.domain), mark("outgoing"));
    let mut smtp = Smtp::open_tls(stack.address(465));
    assert_eq!(smtp.auth(ALICE.0, ALICE.1).code, 235);
    assert_eq!(smtp.send(ALICE.0, &to, &message(ALICE.0, &to, &subject)).code, 250);
    let mail = sink.wait_for(&subject);
    let client = mail.lines().find_map(|line| line.strip_prefix("X-Client: ")).unwrap();
    assert!(client.parse::<Ipv6Addr>().is_ok(), "{client}");
}

/// An engine that routes IPv6 shows clients as they are, and one that doesn't shows itself instead. Docker is known to
/// route it since version 27; before, it can be told to.
fn clients_are_seen(stack: &Stack) {
    let (host, subject) = (HostAddress::new(stack), mark("routed"));
    let address = SocketAddr::new(host.address.into(), stack.address(25).port());
    // Linux takes a second or two to see that nobody else has the address.
    let connect = || Smtp::try_connect(address, Duration::from_secs(30));
    let (mut smtp, greeting) = wait_for("the host's address", Duration::from_secs(30), connect);
    assert_eq!(greeting.code, 220);
    smtp.expect("EHLO client.outside.test", 250);
    let sender = "someone@outside.test";
    assert_eq!(smtp.send(sender, ALICE.0, &message(sender, ALICE.0, &subject)).code, 250);
    let mail = stack.mailbox(ALICE).wait_for_message(&subject);
    let received = mail.split("Received: from ").find(|header| header.contains("client.outside.test")).unwrap();
    if !received.contains(&format!("[IPv6:{}]", host.address)) {
        assert!(engine_version() < 27, "{received}");
        eprintln!("this engine doesn't route IPv6 to containers: it shows itself in place of clients");
        let gateways = "{{range .NetworkSettings.Networks}}[{{.Gateway}}] [IPv6:{{.IPv6Gateway}}] {{end}}";
        let gateways = engine::inspect(&stack.container("postfix"), gateways);
        assert!(gateways.split_whitespace().any(|gateway| received.contains(gateway)), "{gateways}: {received}");
    }
}
