//! A mail server elsewhere, in a container of its own, that keeps what it gets.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use base64::Engine as _;

use crate::common::dns::Record;
use crate::common::{engine, wait_for};
use crate::stack::{Elsewhere, Stack};

/// Prints each mail, and what clients log in with, as Base64. In front of a mail it puts who sent it, and from where. With
/// a certificate, it speaks TLS, but doesn't offer it while /tmp/no-tls exists. On ports 465 and 587, it takes mail only
/// over TLS and with a login; on port 465, TLS begins at once.
const PROGRAM: &str = r#"
import base64, os, socket, socketserver, ssl

PORT, CERTIFICATE = @PORT@, """@CERTIFICATE@"""
HAS_LOGINS = PORT in (465, 587)

class Session(socketserver.StreamRequestHandler):
    def say(self, line):
        self.wfile.write(line.encode() + b"\r\n")

    def start_tls(self):
        with open("/tmp/certificate", "w") as file:
            file.write(CERTIFICATE)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain("/tmp/certificate")
        self.connection = context.wrap_socket(self.connection, server_side=True)
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)

    def handle(self):
        if PORT == 465:
            self.start_tls()
        is_safe = PORT == 465 or not CERTIFICATE
        is_known = not HAS_LOGINS
        sender = b""
        self.say("220 sink ESMTP")
        while line := self.rfile.readline():
            words = line.split() or [b""]
            match words[0].upper():
                case b"EHLO" if HAS_LOGINS and is_safe:
                    self.say("250-sink\r\n250 AUTH PLAIN")
                case b"EHLO" if not is_safe and not os.path.exists("/tmp/no-tls"):
                    self.say("250-sink\r\n250 STARTTLS")
                case b"STARTTLS":
                    self.say("220 go on")
                    self.start_tls()
                    is_safe = True
                case b"AUTH":
                    print("AUTH", words[2].decode(), flush=True)
                    self.say("235 welcome")
                    is_known = True
                case b"MAIL" if not is_known:
                    self.say("530 log in first")
                case b"MAIL":
                    sender = line[line.index(b"<") + 1 : line.index(b">")]
                    self.say("250 fine")
                case b"DATA":
                    self.say("354 go on")
                    client = self.client_address[0].removeprefix("::ffff:").encode()
                    lines = [b"Return-Path: <" + sender + b">\r\n", b"X-Client: " + client + b"\r\n"]
                    while (line := self.rfile.readline()) not in (b".\r\n", b""):
                        lines.append(line.removeprefix(b"."))
                    print("MAIL", base64.b64encode(b"".join(lines)).decode(), flush=True)
                    self.say("250 taken")
                case b"QUIT":
                    self.say("221 bye")
                    return
                case _:
                    self.say("250 fine")

class Server(socketserver.ThreadingTCPServer):
    address_family = socket.AF_INET6

    def server_bind(self):
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()

server = Server(("", PORT), Session)
print("READY", flush=True)
server.serve_forever()
"#;

pub struct Sink {
    container: Elsewhere,
    /// Its name, and the domain whose mail it takes.
    pub domain: String,
    pub address: IpAddr,
    /// The certificate that clients have to trust, if it speaks TLS.
    pub certificate: String,
}

impl Sink {
    /// A server that takes the mail of a domain below `outside.test`.
    pub fn start(stack: &Stack, label: &str) -> Self {
        Self::start_with(stack, label, 25, "", "", ipv4_record)
    }

    /// The same, but DNS says only its IPv6 address.
    pub fn start_on_ipv6(stack: &Stack, label: &str) -> Self {
        Self::start_with(stack, label, 25, "", "", ipv6_record)
    }

    /// The same, but it speaks TLS.
    pub fn start_with_tls(stack: &Stack, label: &str) -> Self {
        Self::start_certified(stack, label, 25)
    }

    /// A server that sends on what its clients send, on port 465 or 587.
    pub fn relay(stack: &Stack, label: &str, port: u16) -> Self {
        Self::start_certified(stack, label, port)
    }

    fn start_certified(stack: &Stack, label: &str, port: u16) -> Self {
        let pair = rcgen::generate_simple_self_signed([format!("{label}.outside.test")]).unwrap();
        Self::start_with(stack, label, port, &pair.cert.pem(), &pair.signing_key.serialize_pem(), ipv4_record)
    }

    fn start_with(
        stack: &Stack,
        label: &str,
        port: u16,
        certificate: &str,
        key: &str,
        record: fn(&Elsewhere) -> (IpAddr, Record),
    ) -> Self {
        let program = PROGRAM.replace("@PORT@", &port.to_string());
        let container = stack.start_elsewhere(&program.replace("@CERTIFICATE@", &format!("{key}{certificate}")));
        let (address, record) = record(&container);
        let domain = format!("{label}.outside.test");
        stack.dns.add(&domain, record);
        // Mail that is refused a connection is tried again only after minutes.
        let is_ready = || engine::logs(&container.name).contains("READY").then_some(());
        wait_for(&format!("{domain} to listen"), Duration::from_secs(30), is_ready);
        Self { container, domain, address, certificate: certificate.to_owned() }
    }

    /// Runs a Python program in its container, and returns the program's output.
    pub fn run(&self, program: &str) -> String {
        engine::docker(["exec", &self.container.name, "python3", "-c", program])
    }

    /// From now on, it doesn't offer TLS.
    pub fn stop_tls(&self) {
        engine::docker(["exec", &self.container.name, "touch", "/tmp/no-tls"]);
    }

    /// What clients have logged in with.
    pub fn logins(&self) -> Vec<String> {
        self.printed("AUTH ")
    }

    /// Waits for a mail that contains a text, and returns it.
    pub fn wait_for(&self, text: &str) -> String {
        wait_for(&format!("{text} to leave"), Duration::from_secs(30), || {
            self.printed("MAIL ").into_iter().find(|mail| mail.contains(text))
        })
    }

    fn printed(&self, what: &str) -> Vec<String> {
        let log = engine::logs(&self.container.name);
        let engine = &base64::engine::general_purpose::STANDARD;
        let texts = log.lines().filter_map(|line| line.strip_prefix(what));
        texts.map(|text| String::from_utf8(engine.decode(text).unwrap()).unwrap()).collect()
    }
}

fn ipv4_record(container: &Elsewhere) -> (IpAddr, Record) {
    let address: Ipv4Addr = container.address("IPAddress");
    (address.into(), Record::A(address))
}

fn ipv6_record(container: &Elsewhere) -> (IpAddr, Record) {
    let address: Ipv6Addr = container.address("GlobalIPv6Address");
    (address.into(), Record::Aaaa(address))
}
