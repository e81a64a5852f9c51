//! A local HTTP server for the files of a directory, or for bytes from a test.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// Serves until the process ends; every connection carries one request.
pub struct HttpServer {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
}

enum Source {
    Directory(PathBuf),
    ObjectStore(PathBuf),
    Files(BTreeMap<String, Vec<u8>>),
}

impl HttpServer {
    /// Serves a directory on the loopback address.
    pub fn directory(path: impl Into<PathBuf>) -> Self {
        Self::start(Ipv4Addr::LOCALHOST.into(), Source::Directory(path.into()))
    }

    /// Serves a directory as an object store without listing does: with 403 for missing files.
    pub fn object_store(path: impl Into<PathBuf>) -> Self {
        Self::start(Ipv4Addr::LOCALHOST.into(), Source::ObjectStore(path.into()))
    }

    /// Serves files, by paths that start with a slash, on an address that containers can reach.
    pub fn files(address: IpAddr, files: BTreeMap<String, Vec<u8>>) -> Self {
        Self::start(address, Source::Files(files))
    }

    fn start(address: IpAddr, source: Source) -> Self {
        let listener = TcpListener::bind((address, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&requests);
        let source = Arc::new(source);
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let (source, log) = (Arc::clone(&source), Arc::clone(&log));
                std::thread::spawn(move || answer(connection, &source, &log));
            }
        });
        Self { address, requests }
    }

    /// Without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requested paths, in order.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

impl Source {
    fn get(&self, path: &str) -> Option<Vec<u8>> {
        match self {
            Self::Directory(root) | Self::ObjectStore(root) if !path.split('/').any(|part| part == "..") => {
                fs_err::read(root.join(path.trim_start_matches('/'))).ok()
            }
            Self::Directory(_) | Self::ObjectStore(_) => None,
            Self::Files(files) => files.get(path).cloned(),
        }
    }

    fn missing(&self) -> &'static str {
        if matches!(self, Self::ObjectStore(_)) { "403 Forbidden" } else { "404 Not Found" }
    }
}

/// A client may disconnect early.
fn answer(connection: TcpStream, source: &Source, log: &Mutex<Vec<String>>) -> Option<()> {
    let mut reader = BufReader::new(connection);
    let mut request = String::new();
    reader.read_line(&mut request).ok()?;
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header).ok()? == 0 || header.trim().is_empty() {
            break;
        }
    }
    let mut words = request.split_whitespace();
    let (method, path) = (words.next()?, words.next()?);
    let path = path.split('?').next()?;
    log.lock().unwrap().push(path.to_owned());
    let (status, body) = source.get(path).map_or((source.missing(), Vec::new()), |body| ("200 OK", body));
    let mut connection = reader.into_inner();
    write!(connection, "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len()).ok()?;
    if method != "HEAD" {
        connection.write_all(&body).ok()?;
    }
    Some(())
}
