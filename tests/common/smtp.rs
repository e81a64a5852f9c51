//! SMTP on the wire, one command and one reply at a time, to do what a well-behaved client would not.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use openssl::ssl::{Ssl, SslConnector, SslMethod, SslStream, SslVerifyMode, SslVersion};

const PATIENCE: Duration = Duration::from_secs(90);

/// A server's reply: the code, and the text of all lines.
#[derive(Debug, Clone)]
pub struct Reply {
    pub code: u16,
    pub text: String,
}

enum Wire {
    Plain(TcpStream),
    Tls(Box<SslStream<TcpStream>>),
    /// While TLS is being negotiated.
    None,
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
            Self::None => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
            Self::None => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A conversation with a mail server.
pub struct Smtp {
    wire: BufReader<Wire>,
}

impl Smtp {
    /// Connects and reads the greeting.
    pub fn connect(address: SocketAddr) -> (Self, Reply) {
        Self::connect_within(address, PATIENCE)
    }

    /// The same, unless there is no greeting in time. A full server may have dropped the packet that completes the
    /// connection; then both sides wait for each other, and a client has to connect again.
    pub fn try_connect(address: SocketAddr, patience: Duration) -> Option<(Self, Reply)> {
        let stream = dial(address).ok()?;
        stream.set_read_timeout(Some(patience)).unwrap();
        stream.peek(&mut [0]).ok()?;
        Some(Self::greeted(stream))
    }

    fn connect_within(address: SocketAddr, patience: Duration) -> (Self, Reply) {
        let stream = dial(address).unwrap_or_else(|error| panic!("can't connect to {address}: {error}"));
        stream.set_read_timeout(Some(patience)).unwrap();
        Self::greeted(stream)
    }

    fn greeted(stream: TcpStream) -> (Self, Reply) {
        let mut smtp = Self { wire: BufReader::new(Wire::Plain(stream)) };
        let greeting = smtp.reply();
        (smtp, greeting)
    }

    /// Connects, reads the greeting and says EHLO.
    pub fn open(address: SocketAddr) -> Self {
        Self::open_within(address, PATIENCE)
    }

    /// The same, and waits longer for each reply. Mail servers wait five minutes (RFC 5321, section 4.5.3.2).
    pub fn open_within(address: SocketAddr, patience: Duration) -> Self {
        let (mut smtp, greeting) = Self::connect_within(address, patience);
        assert_eq!(greeting.code, 220, "{greeting:?}");
        smtp.expect("EHLO client.outside.test", 250);
        smtp
    }

    /// Connects over TLS (port 465) and says EHLO.
    pub fn open_tls(address: SocketAddr) -> Self {
        let stream = tls(dial(address).unwrap(), None).unwrap();
        let mut smtp = Self { wire: BufReader::new(Wire::Tls(Box::new(stream))) };
        assert_eq!(smtp.reply().code, 220);
        smtp.expect("EHLO client.outside.test", 250);
        smtp
    }

    /// STARTTLS and EHLO; returns the second EHLO's reply.
    pub fn starttls(&mut self) -> Reply {
        self.expect("STARTTLS", 220);
        let Wire::Plain(stream) = std::mem::replace(self.wire.get_mut(), Wire::None) else { panic!("TLS twice") };
        *self.wire.get_mut() = Wire::Tls(Box::new(tls(stream, None).unwrap()));
        self.expect("EHLO client.outside.test", 250)
    }

    /// Sends a line and returns the reply.
    pub fn say(&mut self, line: &str) -> Reply {
        self.wire.get_mut().write_all(format!("{line}\r\n").as_bytes()).unwrap();
        self.reply()
    }

    /// Sends a line; fails if the reply has another code.
    pub fn expect(&mut self, line: &str, code: u16) -> Reply {
        let reply = self.say(line);
        assert_eq!(reply.code, code, "in reply to {line:?}: {reply:?}");
        reply
    }

    /// `AUTH PLAIN` (RFC 4616).
    pub fn auth(&mut self, user: &str, password: &str) -> Reply {
        use base64::Engine as _;
        let token = base64::engine::general_purpose::STANDARD.encode(format!("\0{user}\0{password}"));
        self.say(&format!("AUTH PLAIN {token}"))
    }

    /// Sends MAIL, RCPT, DATA and the message. Returns the reply to the first refused step, or to the last.
    pub fn send(&mut self, from: &str, to: &str, message: &str) -> Reply {
        if let Err(refused) = self.try_start_message(from, to) {
            return refused;
        }
        let body = message.replace("\r\n", "\n").replace('\n', "\r\n").replace("\r\n.", "\r\n..");
        self.say(&format!("{}\r\n.", body.trim_end_matches("\r\n")))
    }

    /// Sends MAIL, RCPT and DATA, which must be accepted.
    pub fn start_message(&mut self, from: &str, to: &str) {
        self.try_start_message(from, to).unwrap_or_else(|refused| panic!("{refused:?}"));
    }

    fn try_start_message(&mut self, from: &str, to: &str) -> Result<(), Reply> {
        for (line, code) in
            [(format!("MAIL FROM:<{from}>"), 250), (format!("RCPT TO:<{to}>"), 250), ("DATA".to_owned(), 354)]
        {
            let reply = self.say(&line);
            if reply.code != code {
                return Err(reply);
            }
        }
        Ok(())
    }

    /// Sends a part of a message, unchanged.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.wire.get_mut().write_all(bytes)
    }

    fn reply(&mut self) -> Reply {
        let mut text = String::new();
        loop {
            let mut line = String::new();
            let size =
                self.wire.read_line(&mut line).unwrap_or_else(|error| panic!("no reply: {error}; so far {text:?}"));
            assert!(size > 0, "the server hung up; so far it said {text:?}");
            text.push_str(line.get(4..).unwrap_or_default());
            if line.as_bytes().get(3) != Some(&b'-') {
                let code = line.get(..3).and_then(|code| code.parse().ok());
                return Reply { code: code.unwrap_or_else(|| panic!("not a reply: {line:?}")), text };
            }
        }
    }
}

/// Whether a server that speaks TLS from the first byte (465, 993), or after STARTTLS (25, 587), accepts this version.
pub fn accepts_tls(address: SocketAddr, starttls: bool, version: SslVersion) -> bool {
    tls(before_tls(address, starttls), Some(version)).is_ok()
}

/// The certificate that a server presents, in PEM.
pub fn certificate(address: SocketAddr, starttls: bool) -> String {
    let stream = tls(before_tls(address, starttls), None).unwrap();
    let certificate = stream.ssl().peer_certificate().unwrap();
    String::from_utf8(certificate.to_pem().unwrap()).unwrap()
}

/// A connection on which TLS comes next.
fn before_tls(address: SocketAddr, starttls: bool) -> TcpStream {
    if !starttls {
        return dial(address).unwrap();
    }
    let mut smtp = Smtp::open(address);
    smtp.expect("STARTTLS", 220);
    match smtp.wire.into_inner() {
        Wire::Plain(stream) => stream,
        _ => unreachable!(),
    }
}

fn dial(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// No verification: these tests are about versions and replies. The real clients verify.
fn tls(stream: TcpStream, only: Option<SslVersion>) -> Result<SslStream<TcpStream>, String> {
    let mut builder = SslConnector::builder(SslMethod::tls()).unwrap();
    builder.set_verify(SslVerifyMode::NONE);
    if only.is_some() {
        // OpenSSL's default security level would refuse old versions by itself.
        builder.set_cipher_list("ALL:@SECLEVEL=0").unwrap();
        builder.set_min_proto_version(only).unwrap();
        builder.set_max_proto_version(only).unwrap();
    }
    let ssl = Ssl::new(builder.build().context()).unwrap();
    ssl.connect(stream).map_err(|error| error.to_string())
}
