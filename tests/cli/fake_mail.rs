//! A small mail server with the flaws that a test wants. The container tests use the real one.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use openssl::ssl::{SslAcceptor, SslFiletype, SslMethod, SslOptions, SslStream, SslVersion};

pub(crate) const USER: &str = "alice@example.test";
pub(crate) const PASSWORD: &str = "correct horse";

/// What is wrong with the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    OpenRelay,
    CatchAll,
    NoStarttls,
    AuthInTheClear,
    AnyPassword,
    OldTls,
    TakesViruses,
    Unsigned,
    GreylistsOnce,
    Babbles,
}

pub(crate) struct FakeMail {
    /// The ports of the images, and where they are.
    pub(crate) ports: BTreeMap<u16, u16>,
    state: Arc<State>,
}

struct State {
    flaws: Vec<Flaw>,
    tls: SslAcceptor,
    /// By UID, from 1 on.
    mailbox: Mutex<Vec<Option<String>>>,
    /// Attempts to log in, as `SMTP right`.
    logins: Mutex<Vec<String>>,
    greylisted: Mutex<bool>,
}

impl FakeMail {
    /// Listens until the process ends, with the certificate in a directory.
    pub(crate) fn start(ports: &[u16], tls: &Path, flaws: &[Flaw]) -> Self {
        let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls()).unwrap();
        acceptor.set_private_key_file(tls.join("privkey.pem"), SslFiletype::PEM).unwrap();
        acceptor.set_certificate_chain_file(tls.join("fullchain.pem")).unwrap();
        if flaws.contains(&Flaw::OldTls) {
            acceptor.set_cipher_list("ALL:@SECLEVEL=0").unwrap();
            acceptor.clear_options(SslOptions::NO_TLSV1 | SslOptions::NO_TLSV1_1);
            acceptor.set_min_proto_version(Some(SslVersion::TLS1)).unwrap();
        }
        let state = Arc::new(State {
            flaws: flaws.to_vec(),
            tls: acceptor.build(),
            mailbox: Mutex::default(),
            logins: Mutex::default(),
            greylisted: Mutex::default(),
        });
        let ports = ports.iter().map(|port| (*port, listen(*port, &state))).collect();
        Self { ports, state }
    }

    /// The mails that are there.
    pub(crate) fn mails(&self) -> Vec<String> {
        self.state.mailbox.lock().unwrap().iter().flatten().cloned().collect()
    }

    pub(crate) fn logins(&self) -> Vec<String> {
        self.state.logins.lock().unwrap().clone()
    }
}

fn listen(port: u16, state: &Arc<State>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = listener.local_addr().unwrap().port();
    let state = Arc::clone(state);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let state = Arc::clone(&state);
            std::thread::spawn(move || {
                stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
                // A client that goes away is its own business.
                let _ = Session { port, state, user: None }.serve(stream);
            });
        }
    });
    own
}

trait Wire: Read + Write {}
impl<T: Read + Write> Wire for T {}

struct Session {
    port: u16,
    state: Arc<State>,
    /// Whoever has logged in.
    user: Option<String>,
}

impl Session {
    fn has(&self, flaw: Flaw) -> bool {
        self.state.flaws.contains(&flaw)
    }

    fn serve(&mut self, stream: TcpStream) -> io::Result<()> {
        if [465, 993].contains(&self.port) {
            return self.talk(&mut BufReader::new(self.encrypt(stream)?), true).map(|_| ());
        }
        let mut wire = BufReader::new(stream);
        if self.talk(&mut wire, false)? {
            self.talk(&mut BufReader::new(self.encrypt(wire.into_inner())?), true)?;
        }
        Ok(())
    }

    /// Whether TLS comes next.
    fn talk(&mut self, wire: &mut BufReader<impl Wire>, tls: bool) -> io::Result<bool> {
        if [143, 993].contains(&self.port) { self.imap(wire, tls) } else { self.smtp(wire, tls) }
    }

    fn encrypt(&self, stream: TcpStream) -> io::Result<SslStream<TcpStream>> {
        self.state.tls.accept(stream).map_err(|error| io::Error::other(error.to_string()))
    }

    fn smtp(&mut self, wire: &mut BufReader<impl Wire>, tls: bool) -> io::Result<bool> {
        if self.has(Flaw::Babbles) {
            // The longest lines that a client must take (RFC 5321, section 4.5.3.1.5).
            let line = format!("220-{}\r\n", "glad ".repeat(100)).repeat(1000);
            wire.get_mut().write_all(line.as_bytes())?;
        }
        // After STARTTLS, there is no second greeting.
        if !tls || self.port == 465 {
            say(wire, "220 mail.example.test ESMTP")?;
        }
        loop {
            let line = read(wire)?;
            let (verb, rest) = line.split_once(' ').unwrap_or((&line, ""));
            match verb {
                "EHLO" => {
                    let starttls = if tls || self.has(Flaw::NoStarttls) { "" } else { "250-STARTTLS\r\n" };
                    let offers_auth = if tls { self.port != 25 } else { self.has(Flaw::AuthInTheClear) };
                    let auth = if offers_auth { "250-AUTH PLAIN LOGIN\r\n" } else { "" };
                    say(wire, &format!("250-mail.example.test\r\n{starttls}{auth}250 8BITMIME"))?;
                }
                "STARTTLS" if !tls && !self.has(Flaw::NoStarttls) => {
                    say(wire, "220 go ahead")?;
                    return Ok(true);
                }
                "AUTH" => {
                    let token =
                        base64::engine::general_purpose::STANDARD.decode(rest.split_once(' ').unwrap().1).unwrap();
                    let token = String::from_utf8(token).unwrap();
                    let words: Vec<_> = token.split('\0').collect();
                    say(wire, if self.login("SMTP", words[1], words[2]) { "235 welcome" } else { "535 5.7.8 no" })?;
                }
                "MAIL" => say(wire, "250 ok")?,
                "RCPT" => say(wire, &self.recipient(rest))?,
                "DATA" => {
                    say(wire, "354 go ahead")?;
                    let mail = read_mail(wire)?;
                    say(wire, self.deliver(&mail))?;
                }
                "QUIT" => return say(wire, "221 bye").map(|()| false),
                _ => say(wire, "500 what?")?,
            }
        }
    }

    fn login(&mut self, protocol: &str, user: &str, password: &str) -> bool {
        let is_right = (user, password) == (USER, PASSWORD);
        let attempt = format!("{protocol} {}", if is_right { "right" } else { "wrong" });
        self.state.logins.lock().unwrap().push(attempt);
        if is_right || self.has(Flaw::AnyPassword) {
            self.user = Some(user.to_owned());
        }
        self.user.is_some()
    }

    fn recipient(&self, rest: &str) -> String {
        if self.has(Flaw::GreylistsOnce) && !std::mem::replace(&mut *self.state.greylisted.lock().unwrap(), true) {
            return "450 4.3.2 come again".to_owned();
        }
        let is_ours = rest.ends_with("@example.test>");
        match () {
            () if rest.contains(USER) => "250 ok",
            () if is_ours && self.has(Flaw::CatchAll) => "250 ok",
            () if is_ours => "550 5.1.1 no such user",
            () if self.user.is_some() || self.has(Flaw::OpenRelay) => "250 ok",
            () => "554 5.7.1 Relay access denied",
        }
        .to_owned()
    }

    fn deliver(&self, mail: &str) -> &'static str {
        if mail.contains("EICAR-STANDARD-ANTIVIRUS") && !self.has(Flaw::TakesViruses) {
            return "550 5.7.1 a virus";
        }
        let header = match self.user {
            None => "Authentication-Results: mail.example.test; dmarc=none\r\n",
            Some(_) if self.has(Flaw::Unsigned) => "",
            Some(_) => "DKIM-Signature: v=1; d=example.test;\r\n\ts=mail; b=abc\r\n",
        };
        self.state.mailbox.lock().unwrap().push(Some(format!("{header}{mail}")));
        "250 ok"
    }

    fn imap(&mut self, wire: &mut BufReader<impl Wire>, tls: bool) -> io::Result<bool> {
        if !tls || self.port == 993 {
            say(wire, "* OK ready")?;
        }
        loop {
            let line = read(wire)?;
            let (tag, command) = line.split_once(' ').unwrap();
            let words: Vec<_> = command.split(' ').collect();
            let mut mails = self.state.mailbox.lock().unwrap();
            let uid = || words[2].parse::<usize>().unwrap();
            let answer = match words[..] {
                ["STARTTLS"] => return say(wire, &format!("{tag} OK go ahead")).map(|()| true),
                ["CAPABILITY"] if tls => "* CAPABILITY IMAP4rev1\r\n".to_owned(),
                ["CAPABILITY"] => {
                    let login = if self.has(Flaw::AuthInTheClear) { "" } else { " LOGINDISABLED" };
                    format!("* CAPABILITY IMAP4rev1 STARTTLS{login}\r\n")
                }
                ["LOGIN", ..] if tls => {
                    drop(mails);
                    let quoted: Vec<_> = command.split('"').collect();
                    let welcome = self.login("IMAP", quoted[1], quoted[3]);
                    say(wire, &format!("{tag} {}", if welcome { "OK hi" } else { "NO [AUTHENTICATIONFAILED] no" }))?;
                    continue;
                }
                ["LIST", ..] => {
                    "* LIST () \"/\" Junk\r\n* LIST () \"/\" INBOX\r\n* LIST (\\NoSelect) \"/\" x\r\n".to_owned()
                }
                ["EXAMINE" | "SELECT", folder] => {
                    self.user = Some(folder.to_owned());
                    format!("* {} EXISTS\r\n", mails.len())
                }
                ["UID", "SEARCH", ..] => {
                    let id = command.split('"').nth(1).unwrap();
                    let is_meant = |mail: &Option<String>| mail.as_ref().is_some_and(|mail| mail.contains(id));
                    let in_inbox = self.user.as_deref() == Some("\"INBOX\"");
                    let found = mails.iter().position(is_meant).filter(|_| in_inbox);
                    found.map_or("* SEARCH\r\n".to_owned(), |found| format!("* SEARCH {}\r\n", found + 1))
                }
                ["UID", "FETCH", ..] => {
                    let header = mails[uid() - 1].clone().unwrap();
                    let header = format!("{}\r\n\r\n", header.split_once("\r\n\r\n").unwrap().0);
                    format!("* 1 FETCH (UID {} BODY[HEADER] {{{}}}\r\n{header})\r\n", uid(), header.len())
                }
                ["UID", "STORE", ..] => String::new(),
                ["UID", "EXPUNGE", ..] => {
                    mails[uid() - 1] = None;
                    "* 1 EXPUNGE\r\n".to_owned()
                }
                ["LOGOUT"] => "* BYE\r\n".to_owned(),
                _ => panic!("what is {line:?}?"),
            };
            drop(mails);
            say(wire, &format!("{answer}{tag} OK done"))?;
        }
    }
}

fn say(wire: &mut BufReader<impl Wire>, text: &str) -> io::Result<()> {
    wire.get_mut().write_all(format!("{text}\r\n").as_bytes())?;
    wire.get_mut().flush()
}

fn read(wire: &mut BufReader<impl Wire>) -> io::Result<String> {
    let mut line = String::new();
    if wire.read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line.trim_end().to_owned())
}

fn read_mail(wire: &mut BufReader<impl Wire>) -> io::Result<String> {
    let mut mail = String::new();
    loop {
        let line = read(wire)?;
        if line == "." {
            return Ok(mail);
        }
        mail.extend([line.as_str(), "\r\n"]);
    }
}
