//! What every port shows before anybody logs in: greeting, offers, certificate, versions of TLS.

use rustls::version::{TLS12, TLS13};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use super::check::{Verdict, id};
use super::endpoint::{Endpoint, Protocol};
use super::hello::{OldVersion, accepts};
use super::judge;
use super::reply::{LATER, Problem, shown};
use super::run::Run;
use super::smtp::{CLIENT, Smtp};
use super::target::Target;
use super::tls::{Handshake, Trust, handshake};

/// Bounds on what a server says before TLS, in bytes and lines.
const LONGEST_LINE: u64 = 4096;
const MOST_LINES: usize = 100;

impl Run<'_> {
    /// Checks all that needs no login. The other checks of the port need these.
    pub(super) async fn transport(&mut self, endpoint: Endpoint) {
        let (target, trust, recorder) = (self.target, &self.trust, &mut self.recorder);
        let port = endpoint.port;
        let greeting = id(port, "greeting");
        // What the server offers before TLS, a line each.
        let mut offers = Vec::new();
        if endpoint.starttls {
            recorder.check(greeting, &[], greet(target, endpoint, &mut offers)).await;
            let judged = async { judge::offers(endpoint.protocol, &offers) };
            recorder.check(id(port, "offers"), &[greeting], judged).await;
        }
        let needs: &[_] = if endpoint.starttls { &[greeting] } else { &[] };
        recorder.check(id(port, "certificate"), needs, certificate(target, trust, endpoint)).await;
        recorder.check(id(port, "tls"), needs, versions(target, trust, endpoint)).await;
    }
}

async fn greet(target: &Target, endpoint: Endpoint, offers: &mut Vec<String>) -> Verdict {
    if endpoint.protocol == Protocol::Imap {
        let mut wire = Wire::open(target, endpoint.port).await?;
        let greeting = wire.lines(|_| true).await?.concat();
        *offers = wire.ask("a CAPABILITY", |line| line.starts_with("a ")).await?;
        return Ok(shown(&greeting));
    }
    let mut smtp = Smtp::open(target, endpoint.port).await?;
    let reply = smtp.offers().await?;
    smtp.close().await;
    let mut lines = reply.text.lines().map(str::to_owned);
    let name = lines.next().unwrap_or_default();
    *offers = lines.collect();
    judge::greeting(&name, target.hostname.as_str())
}

async fn certificate(target: &Target, trust: &Trust, endpoint: Endpoint) -> Verdict {
    let presented = match handshake(target, trust, endpoint, rustls::ALL_VERSIONS).await? {
        Handshake::Done(presented) => presented,
        Handshake::Refused(reason) => return judge::no_tls(&reason),
    };
    let is_own = presented.chain.first().is_some_and(|it| target.own_certificates.contains(it));
    judge::certificate(&trust.verify(&presented), presented.days_left, is_own, target.hostname.as_str())
}

async fn versions(target: &Target, trust: &Trust, endpoint: Endpoint) -> Verdict {
    let mut accepted = Vec::new();
    for (name, version) in [("1.0", OldVersion::Tls1_0), ("1.1", OldVersion::Tls1_1)] {
        accepted.push((name, false, accepts(target, endpoint, version).await?));
    }
    for (name, version) in [("1.2", &TLS12), ("1.3", &TLS13)] {
        let is_done = matches!(handshake(target, trust, endpoint, &[version]).await?, Handshake::Done(_));
        accepted.push((name, true, is_done));
    }
    judge::versions(&accepted)
}

/// A connection on which TLS comes next.
pub(super) async fn before_tls(target: &Target, endpoint: Endpoint) -> Result<TcpStream, Problem> {
    if !endpoint.starttls {
        return target.connect(endpoint.port).await;
    }
    let mut wire = Wire::open(target, endpoint.port).await?;
    let answer = match endpoint.protocol {
        Protocol::Smtp => {
            let is_last = |line: &str| line.as_bytes().get(3) != Some(&b'-');
            wire.lines(is_last).await?;
            wire.ask(&format!("EHLO {CLIENT}"), is_last).await?;
            wire.ask("STARTTLS", is_last).await?
        }
        Protocol::Imap => {
            wire.lines(|_| true).await?;
            wire.ask("a STARTTLS", |line| line.starts_with("a ")).await?
        }
    };
    let said = answer.last().map_or("", String::as_str);
    if said.starts_with("220") || said.starts_with("a OK") {
        return wire.into_stream();
    }
    let problem = Problem::told(format!("STARTTLS is refused: {}", shown(said)));
    Err(if said.starts_with('4') { problem.hint(LATER) } else { problem })
}

/// Lines without TLS. The clients that check the rest keep their connection to themselves.
struct Wire {
    stream: BufReader<TcpStream>,
}

impl Wire {
    async fn open(target: &Target, port: u16) -> Result<Self, Problem> {
        Ok(Self { stream: BufReader::new(target.connect(port).await?) })
    }

    async fn ask(&mut self, line: &str, is_last: impl Fn(&str) -> bool) -> Result<Vec<String>, Problem> {
        let sent = self.stream.get_mut().write_all(format!("{line}\r\n").as_bytes()).await;
        sent.map_err(|error| Problem::new("the connection fails", &error))?;
        self.lines(is_last).await
    }

    /// Reads up to a line that is the last one of an answer.
    async fn lines(&mut self, is_last: impl Fn(&str) -> bool) -> Result<Vec<String>, Problem> {
        let mut lines = Vec::new();
        while lines.len() < MOST_LINES {
            let mut line = Vec::new();
            let read = (&mut self.stream).take(LONGEST_LINE).read_until(b'\n', &mut line).await;
            read.map_err(|error| Problem::new("the connection fails", &error))?;
            let line = String::from_utf8_lossy(&line).into_owned();
            let Some(line) = line.strip_suffix('\n') else {
                return Err(Problem::told(format!("the server hangs up, or says too much; last: {:?}", shown(&line))));
            };
            lines.push(line.trim_end_matches('\r').to_owned());
            if is_last(line) {
                return Ok(lines);
            }
        }
        Err(Problem::told("the server says too much"))
    }

    fn into_stream(self) -> Result<TcpStream, Problem> {
        if self.stream.buffer().is_empty() {
            Ok(self.stream.into_inner())
        } else {
            Err(Problem::told("the server goes on without TLS after STARTTLS"))
        }
    }
}
