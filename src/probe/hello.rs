//! Whether a server would speak a version of TLS that rustls doesn't: a ClientHello that offers nothing newer, and the
//! start of the answer. Nothing is agreed on, so nothing has to be computed.
//!
//! Formats: RFC 2246 and RFC 4346, sections 6.2.1 and 7.4.1; extensions: RFC 6066, section 3, and RFC 8422, section 5.1.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::endpoint::Endpoint;
use super::reply::Problem;
use super::target::Target;
use super::transport::before_tls;

/// A version of TLS that no server should accept any more (RFC 8996).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OldVersion {
    Tls1_0,
    Tls1_1,
}

/// What servers of that time chose from: AES, 3DES and RC4, with each kind of key exchange, also without certificate.
const CIPHER_SUITES: [u16; 20] = [
    0xc013, 0xc014, 0xc009, 0xc00a, 0xc012, 0xc008, 0xc011, 0xc007, 0x0033, 0x0039, 0x0016, 0x002f, 0x0035, 0x000a,
    0x0005, 0x0004, 0xc018, 0xc019, 0x0034, 0x003a,
];

/// Instead of an extension that some servers insist on (RFC 5746, section 3.3).
const RENEGOTIATION_INFO: u16 = 0x00ff;

/// P-256, P-384, P-521.
const CURVES: [u16; 3] = [23, 24, 25];

const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;

impl OldVersion {
    fn on_the_wire(self) -> [u8; 2] {
        match self {
            Self::Tls1_0 => [3, 1],
            Self::Tls1_1 => [3, 2],
        }
    }
}

/// Whether the server agrees to the version.
pub(super) async fn accepts(target: &Target, endpoint: Endpoint, version: OldVersion) -> Result<bool, Problem> {
    let mut stream = before_tls(target, endpoint).await?;
    let hello = client_hello(version, target.hostname.as_str());
    stream.write_all(&hello).await.map_err(|error| Problem::new("the connection fails", &error))?;
    // Type, version and length of the record; then type, length and version of a ServerHello.
    let mut start = Vec::new();
    // Servers also refuse by hanging up.
    let _ = stream.take(11).read_to_end(&mut start).await;
    match start.as_slice() {
        [HANDSHAKE, _, _, _, _, SERVER_HELLO, _, _, _, agreed @ ..] => Ok(agreed == version.on_the_wire()),
        [ALERT, ..] | [] => Ok(false),
        _ => Err(Problem::told("the server answers with something other than TLS")),
    }
}

fn client_hello(version: OldVersion, hostname: &str) -> Vec<u8> {
    let mut random = [0; 32];
    fastrand::Rng::new().fill(&mut random);
    let suites: Vec<u8> = CIPHER_SUITES.iter().chain([&RENEGOTIATION_INFO]).flat_map(|it| it.to_be_bytes()).collect();
    let curves: Vec<u8> = CURVES.iter().flat_map(|it| it.to_be_bytes()).collect();
    let server_name = [&[0], sized(hostname.as_bytes()).as_slice()].concat();
    let extensions = [
        extension(0, &sized(&server_name)),
        extension(10, &sized(&curves)),
        // Points that aren't compressed.
        extension(11, &[1, 0]),
    ];
    let version = version.on_the_wire();
    let body = [
        version.as_slice(),
        &random,
        &[0], // no session to resume
        &sized(&suites),
        &[1, 0], // no compression
        &sized(&extensions.concat()),
    ];
    let handshake = [&[CLIENT_HELLO, 0], sized(&body.concat()).as_slice()].concat();
    [&[HANDSHAKE, 3, 1], sized(&handshake).as_slice()].concat()
}

fn extension(kind: u16, data: &[u8]) -> Vec<u8> {
    [kind.to_be_bytes().as_slice(), &sized(data)].concat()
}

/// Data behind its length in two bytes. All of it is short: a host name has at most 255 bytes.
fn sized(data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).unwrap_or(u16::MAX);
    [length.to_be_bytes().as_slice(), data].concat()
}
