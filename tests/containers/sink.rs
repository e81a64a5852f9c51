//! A mail server elsewhere, in a container of its own, that keeps what it gets.

use std::net::Ipv4Addr;
use std::time::Duration;

use base64::Engine as _;

use crate::common::dns::Record;
use crate::common::{engine, wait_for};
use crate::stack::{Elsewhere, Stack};

/// Prints each mail as one line of Base64.
const PROGRAM: &str = r#"
import base64, socketserver

class Session(socketserver.StreamRequestHandler):
    def say(self, line):
        self.wfile.write(line.encode() + b"\r\n")

    def handle(self):
        self.say("220 sink ESMTP")
        while line := self.rfile.readline():
            verb = line.split()[0].upper() if line.split() else b""
            if verb == b"DATA":
                self.say("354 go on")
                lines = []
                while (line := self.rfile.readline()) not in (b".\r\n", b""):
                    lines.append(line.removeprefix(b"."))
                print("MAIL", base64.b64encode(b"".join(lines)).decode(), flush=True)
            self.say("221 bye" if verb == b"QUIT" else "250 fine")
            if verb == b"QUIT":
                return

socketserver.ThreadingTCPServer(("", 25), Session).serve_forever()
"#;

pub struct Sink {
    container: Elsewhere,
    /// The domain whose mail it takes.
    pub domain: String,
}

impl Sink {
    /// A server for a domain below `outside.test`.
    pub fn start(stack: &Stack, label: &str) -> Self {
        let container = stack.start_elsewhere(PROGRAM);
        let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
        let address: Ipv4Addr = engine::inspect(&container.name, format).parse().unwrap();
        let domain = format!("{label}.outside.test");
        stack.dns.add(&domain, Record::A(address));
        Self { container, domain }
    }

    /// Waits for a mail that contains a text, and returns it.
    pub fn wait_for(&self, text: &str) -> String {
        wait_for(&format!("{text} to leave"), Duration::from_secs(30), || {
            let log = engine::logs(&self.container.name);
            let mails = log.lines().filter_map(|line| line.strip_prefix("MAIL "));
            let engine = &base64::engine::general_purpose::STANDARD;
            mails.map(|mail| String::from_utf8(engine.decode(mail).unwrap()).unwrap()).find(|mail| mail.contains(text))
        })
    }
}
