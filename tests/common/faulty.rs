//! A proxy between a client and a server that fails in the way a test wants.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A request in transit.
pub struct Asked {
    pub method: String,
    /// With its query.
    pub path: String,
    head: Vec<String>,
    pub body: Vec<u8>,
    /// The number of requests with this method so far, including this one.
    pub count: usize,
}

impl Asked {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let of = |line: &String| line.split_once(':').is_some_and(|(key, _)| key.eq_ignore_ascii_case(name));
        Some(self.head.iter().find(|line| of(line))?.split_once(':')?.1.trim())
    }
}

/// What the proxy does with a request.
pub enum Fault {
    /// Forward it.
    None,
    /// Answer it here: status and reason.
    Answer(&'static str),
    /// Forward it, but return only this many bytes of the answer.
    Cut(usize),
}

/// Listens until the process ends; every connection carries one request.
pub struct Faulty {
    port: u16,
    log: Arc<Mutex<Vec<String>>>,
}

impl Faulty {
    /// In front of the server on this port of the loopback address.
    pub fn before(port: u16, fault: impl Fn(&Asked) -> Fault + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let own = listener.local_addr().unwrap().port();
        let (log, fault) = (Arc::new(Mutex::new(Vec::new())), Arc::new(fault));
        let shared = Arc::clone(&log);
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let (log, fault) = (Arc::clone(&shared), Arc::clone(&fault));
                std::thread::spawn(move || pass(&connection, port, &log, &*fault));
            }
        });
        Self { port: own, log }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The full name for a path in the registry.
    pub fn name(&self, path: &str) -> String {
        format!("127.0.0.1:{}/{path}", self.port)
    }

    /// The methods and paths of all requests, in order.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// The number of them that start with this.
    pub fn count(&self, start: &str) -> usize {
        self.log().iter().filter(|line| line.starts_with(start)).count()
    }
}

/// A client may disconnect early.
fn pass(mut client: &TcpStream, port: u16, log: &Mutex<Vec<String>>, fault: &dyn Fn(&Asked) -> Fault) -> Option<()> {
    let mut asked = read(client, log)?;
    let answer = match fault(&asked) {
        Fault::Answer(status) => {
            format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").into_bytes()
        }
        Fault::None => forward(&mut asked, port)?,
        Fault::Cut(length) => {
            let mut answer = forward(&mut asked, port)?;
            answer.truncate(length);
            answer
        }
    };
    client.write_all(&answer).ok()
}

fn read(client: &TcpStream, log: &Mutex<Vec<String>>) -> Option<Asked> {
    let mut reader = BufReader::new(client);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let line = line.trim_end().to_owned();
        if line.is_empty() {
            break;
        }
        head.push(line);
    }
    let mut words = head.first()?.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let count = {
        let mut log = log.lock().unwrap();
        log.push(format!("{method} {path}"));
        log.iter().filter(|line| line.starts_with(&format!("{method} "))).count()
    };
    let mut asked = Asked { method, path, head, body: Vec::new(), count };
    let length = asked.header("content-length").map_or(0, |length| length.parse().unwrap());
    asked.body.resize(length, 0);
    reader.read_exact(&mut asked.body).ok()?;
    Some(asked)
}

fn forward(asked: &mut Asked, port: u16) -> Option<Vec<u8>> {
    let mut server = TcpStream::connect(("127.0.0.1", port)).ok()?;
    asked.head.push("Connection: close".to_owned());
    server.write_all(format!("{}\r\n\r\n", asked.head.join("\r\n")).as_bytes()).ok()?;
    server.write_all(&asked.body).ok()?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).ok()?;
    Some(answer)
}
