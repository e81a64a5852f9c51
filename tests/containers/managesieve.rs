//! Users edit their Sieve scripts with mail programs, where the site allows it.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use base64::Engine as _;
use openssl::ssl::{SslConnector, SslMethod};
use openssl::x509::X509;

use crate::common::{engine, wait_for};
use crate::stack::{self, HOSTNAME, deliver, mark};

#[test]
fn users_edit_their_scripts_over_managesieve() {
    let stack = stack::exclusive();
    let published = |port: &str| {
        let ports = engine::inspect(&stack.container("dovecot"), "{{json .HostConfig.PortBindings}}");
        ports.contains(&format!("\"{port}/tcp\""))
    };
    assert!(published("993") && !published("4190"));
    let (owner, password) = stack.new_user("writer");
    let port = stack::free_port();
    let mut ports: toml::Table = stack.project.read("mailimg.toml").parse().unwrap();
    let mut ports = ports.remove("publish").unwrap().as_table().unwrap()["ports"].clone();
    ports.as_table_mut().unwrap().insert("4190".to_owned(), i64::from(port).into());
    let before = stack.set([("imap", "managesieve", true.into()), ("publish", "ports", ports)]);
    assert!(published("4190"));

    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut plain = Client(BufReader::new(stream));
    // Without TLS, there is nothing to log in with.
    assert!(plain.answer().contains("\"SASL\" \"\""));
    assert!(plain.say("STARTTLS").starts_with("OK"));
    let mut trusted = SslConnector::builder(SslMethod::tls()).unwrap();
    let certificate = X509::from_pem(stack.certificate().as_bytes()).unwrap();
    trusted.cert_store_mut().add_cert(certificate).unwrap();
    let stream = trusted.build().connect(HOSTNAME, plain.0.into_inner()).unwrap();
    let mut client = Client(BufReader::new(stream));
    assert!(client.answer().contains("\"SASL\" \"PLAIN LOGIN\""));
    let token = base64::engine::general_purpose::STANDARD.encode(format!("\0{owner}\0{password}"));
    assert!(client.say(&format!("AUTHENTICATE \"PLAIN\" \"{token}\"")).starts_with("OK"));
    let refused = client.say("PUTSCRIPT \"broken\" {6+}\r\nkeepit");
    assert!(refused.starts_with("NO"), "{refused}");
    let script = "require \"fileinto\"; fileinto \"Archive\";";
    let kept = client.say(&format!("PUTSCRIPT \"own\" {{{}+}}\r\n{script}", script.len()));
    assert!(kept.starts_with("OK"), "{kept}");
    assert!(client.say("SETACTIVE \"own\"").starts_with("OK"));
    stack.restore(&before);

    // The script is Dovecot's as well.
    assert!(!published("4190"));
    let mark = mark("edited");
    deliver(&stack, &owner, &mark);
    let mailbox = stack.mailbox((&owner, password));
    wait_for("the mail in Archive", Duration::from_secs(30), || mailbox.find("Archive", &mark));
}

/// The protocol (RFC 5804): lines, and an answer ends with one that begins with OK, NO or BYE.
struct Client<S: Read + Write>(BufReader<S>);

impl<S: Read + Write> Client<S> {
    fn say(&mut self, command: &str) -> String {
        self.0.get_mut().write_all(format!("{command}\r\n").as_bytes()).unwrap();
        self.answer()
    }

    /// The text that a line announces by its length: `NO {12}`.
    fn literal(&mut self, line: &str) -> String {
        let length = line.trim_end().strip_suffix('}').and_then(|line| line.rsplit_once('{')?.1.parse().ok());
        let mut text = vec![0; length.unwrap_or(0)];
        self.0.read_exact(&mut text).unwrap();
        if length.is_some() {
            assert!(self.0.read_line(&mut String::new()).unwrap() > 0);
        }
        String::from_utf8(text).unwrap()
    }

    fn answer(&mut self) -> String {
        let mut answer = String::new();
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "the server hung up after {answer:?}");
            answer.push_str(&line);
            if ["OK", "NO", "BYE"].iter().any(|end| line.starts_with(end)) {
                return answer + &self.literal(&line);
            }
        }
    }
}
