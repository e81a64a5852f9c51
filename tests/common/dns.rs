//! A name server for made-up domains, so that no test depends on public DNS.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};

/// The record types that mail needs.
#[derive(Debug, Clone)]
pub enum Record {
    A(Ipv4Addr),
    Aaaa(Ipv6Addr),
    Mx(String),
    Txt(String),
    /// The server never answers for this name.
    Silence,
}

const A: u16 = 1;
const MX: u16 = 15;
const TXT: u16 = 16;
const AAAA: u16 = 28;
const IN: u16 = 1;
const NXDOMAIN: u16 = 3;

type Zone = BTreeMap<String, Vec<Record>>;

/// Answers over UDP until the process ends. Names without records don't exist.
pub struct DnsServer {
    address: SocketAddr,
    zone: Arc<RwLock<Zone>>,
    is_silent: Arc<AtomicBool>,
}

impl DnsServer {
    /// On a free port of that address.
    pub fn start(address: IpAddr) -> Self {
        let socket =
            UdpSocket::bind((address, 0)).unwrap_or_else(|error| panic!("can't answer DNS on {address}: {error}"));
        let address = socket.local_addr().unwrap();
        let zone = Arc::new(RwLock::new(Zone::new()));
        let records = Arc::clone(&zone);
        let is_silent = Arc::new(AtomicBool::new(false));
        let says_nothing = Arc::clone(&is_silent);
        std::thread::spawn(move || {
            let mut query = [0; 1500];
            while let Ok((size, from)) = socket.recv_from(&mut query) {
                if says_nothing.load(Ordering::Relaxed) {
                    continue;
                }
                if let Some(answer) = answer(&query[..size], &records.read().unwrap()) {
                    let _ = socket.send_to(&answer, from);
                }
            }
        });
        Self { address, zone, is_silent }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `name` without a dot at the end.
    pub fn add(&self, name: &str, record: Record) {
        self.zone.write().unwrap().entry(name.to_lowercase()).or_default().push(record);
    }

    /// As if the server couldn't be reached, until it is set to false.
    pub fn set_silent(&self, is_silent: bool) {
        self.is_silent.store(is_silent, Ordering::Relaxed);
    }
}

/// RFC 1035, section 4.1: the header and question of the query, followed by the answers.
fn answer(query: &[u8], zone: &Zone) -> Option<Vec<u8>> {
    let (name, end) = question(query)?;
    let kind = u16::from_be_bytes([*query.get(end)?, *query.get(end + 1)?]);
    let records = zone.get(&name);
    let answers: Option<Vec<(u16, Vec<u8>)>> = records.into_iter().flatten().map(encode).collect();
    let answers: Vec<_> = answers?.into_iter().filter(|(found, _)| *found == kind).collect();
    // A name with other names below it exists, even without records.
    let below = format!(".{name}");
    let exists = records.is_some() || zone.keys().any(|other| other.ends_with(&below));
    // Response, authoritative; "recursion desired" as asked; recursion available.
    let flags = 0x8480 | (u16::from_be_bytes([query[2], query[3]]) & 0x0100) | if exists { 0 } else { NXDOMAIN };
    let mut message = query[..2].to_vec();
    for word in [flags, 1, u16::try_from(answers.len()).ok()?, 0, 0] {
        message.extend(word.to_be_bytes());
    }
    message.extend(query.get(12..end + 4)?);
    for (kind, data) in answers {
        message.extend([0xC0, 12]);
        message.extend(kind.to_be_bytes());
        message.extend(IN.to_be_bytes());
        message.extend(60_u32.to_be_bytes());
        message.extend(u16::try_from(data.len()).ok()?.to_be_bytes());
        message.extend(data);
    }
    Some(message)
}

/// The queried name, in lower case, and where it ends.
fn question(query: &[u8]) -> Option<(String, usize)> {
    let mut labels = Vec::new();
    let mut at = 12;
    loop {
        let size = usize::from(*query.get(at)?);
        at += 1;
        if size == 0 {
            return Some((labels.join("."), at));
        }
        labels.push(String::from_utf8_lossy(query.get(at..at + size)?).to_lowercase());
        at += size;
    }
}

fn encode(record: &Record) -> Option<(u16, Vec<u8>)> {
    Some(match record {
        Record::A(address) => (A, address.octets().to_vec()),
        Record::Aaaa(address) => (AAAA, address.octets().to_vec()),
        Record::Mx(host) => {
            let mut data = 10_u16.to_be_bytes().to_vec();
            for label in host.split('.') {
                data.push(u8::try_from(label.len()).unwrap());
                data.extend(label.bytes());
            }
            data.push(0);
            (MX, data)
        }
        Record::Txt(text) => (
            TXT,
            text.as_bytes()
                .chunks(255)
                .flat_map(|piece| [&[u8::try_from(piece.len()).unwrap()], piece].concat())
                .collect(),
        ),
        Record::Silence => return None,
    })
}
