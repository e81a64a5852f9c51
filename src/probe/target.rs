use std::collections::BTreeSet;
use std::io::{self, Read as _};

use camino::{Utf8Path, Utf8PathBuf};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::net::TcpStream;

use super::endpoint::{ENDPOINTS, Endpoint, Protocol};
use super::reply::Problem;
use crate::config::{Address, ConfigError, DomainName, Project};

/// Certificates are far smaller.
const MOST_PEM: u64 = 1 << 20;

/// Why a site can't be tested.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The mailbox is not one of the site.
    #[error("{user} is not in a domain of this site")]
    ForeignUser { user: Address, domains: Vec<String> },
    /// The site publishes no port that could be tested.
    #[error("the site publishes no port for mail")]
    NoPorts,
    /// Nobody could see whether test mails arrive, nor delete them.
    #[error("the site publishes no port for IMAP, so test mails can't be read")]
    NoMailbox,
    /// The site's own certificate can't be read.
    #[error("can't read {path}")]
    Certificate { path: Utf8PathBuf, source: io::Error },
    /// The user has pressed Ctrl-C.
    #[error("interrupted")]
    Interrupted,
    /// There is nothing to verify certificates with.
    #[error("can't set up TLS: {reason}")]
    Tls { reason: String },
}

/// A user of the site, to log in and get the test mails.
pub struct Account {
    pub address: Address,
    pub password: String,
}

/// What is tested, and how it should be.
#[derive(Debug)]
pub struct Target {
    /// Where to connect: a host name or an address.
    pub server: String,
    pub(super) hostname: DomainName,
    pub(super) domains: Vec<DomainName>,
    /// The tested ports, with those of the host on which they are published.
    pub(super) endpoints: Vec<(Endpoint, u16)>,
    pub(super) auth_on_25: bool,
    /// Whose clients may send to anybody without a login.
    pub(super) trusted_networks: Vec<String>,
    pub(super) antivirus: bool,
    pub(super) dmarc: bool,
    pub(super) selector: String,
    /// The certificates that the site made itself, which are trusted for its name.
    pub(super) own_certificates: Vec<CertificateDer<'static>>,
}

impl Target {
    /// A project's site. It is reached by its host name, unless another way in is given.
    pub fn of(project: &Project, server: Option<&str>) -> Result<Self, ProbeError> {
        let user = "`mailimg test-mail`";
        let (site, hostname) = (project.site(), project.hostname(user)?.clone());
        let published: BTreeSet<u16> =
            project.recipes().flat_map(|recipe| recipe.service.publish.iter().copied()).collect();
        let tested = ENDPOINTS.into_iter().filter(|endpoint| published.contains(&endpoint.port));
        let endpoints: Vec<_> = tested.map(|endpoint| (endpoint, site.publish.host_port(endpoint.port))).collect();
        if endpoints.is_empty() {
            return Err(ProbeError::NoPorts);
        }
        let own_certificates = match site.tls.directory {
            Some(_) => Vec::new(),
            None => certificates(&project.secrets_dir().join("tls/fullchain.pem"))?,
        };
        Ok(Self {
            server: server.unwrap_or(hostname.as_str()).to_owned(),
            hostname,
            domains: project.domains(user)?.to_vec(),
            endpoints,
            auth_on_25: site.smtp.auth_on_25,
            trusted_networks: site.smtp.trusted_networks.iter().map(ToString::to_string).collect(),
            antivirus: site.antivirus.enabled,
            dmarc: site.dmarc.enabled,
            selector: site.dkim.selector.to_string(),
            own_certificates,
        })
    }

    /// Checks that this user's mailbox is on this site, and can be read.
    pub fn check_user(&self, user: &Address) -> Result<(), ProbeError> {
        if self.domains.contains(user.domain()) {
            return self.imap_endpoint().map(|_| ()).ok_or(ProbeError::NoMailbox);
        }
        let domains = self.domains.iter().map(ToString::to_string).collect();
        Err(ProbeError::ForeignUser { user: user.clone(), domains })
    }

    pub(super) fn endpoint(&self, port: u16) -> Option<Endpoint> {
        self.endpoints.iter().map(|(endpoint, _)| *endpoint).find(|endpoint| endpoint.port == port)
    }

    /// Where mailboxes are read.
    pub(super) fn imap_endpoint(&self) -> Option<Endpoint> {
        self.endpoints.iter().map(|(endpoint, _)| *endpoint).find(|endpoint| endpoint.protocol == Protocol::Imap)
    }

    /// Where an image's port is published.
    pub(super) fn address(&self, port: u16) -> (&str, u16) {
        let published = self.endpoints.iter().find(|(endpoint, _)| endpoint.port == port);
        (&self.server, published.map_or(port, |(_, host_port)| *host_port))
    }

    pub(super) async fn connect(&self, port: u16) -> Result<TcpStream, Problem> {
        let (host, port) = self.address(port);
        // The clients write commands piece by piece, which would wait for each other's acknowledgement.
        let connected =
            TcpStream::connect((host, port)).await.and_then(|stream| stream.set_nodelay(true).map(|()| stream));
        connected.map_err(|error| {
            Problem::new(&format!("can't connect to {host}, port {port}"), &error).hint(
                "check that the server is running (`mailimg status`) and that its firewall lets this machine in. \
                 --server connects to another name or address",
            )
        })
    }

    /// A domain that is not the site's. Nobody gets mail there: it is set aside for examples (RFC 2606).
    pub(super) fn foreign_domain(&self) -> &'static str {
        let is_ours = |name: &str| self.domains.iter().any(|domain| domain.as_str() == name);
        ["example.com", "example.net", "example.org"].into_iter().find(|name| !is_ours(name)).unwrap_or("example.edu")
    }
}

/// The certificates in a file; none if there is no such file, as in a copy of the project without its secrets.
fn certificates(path: &Utf8Path) -> Result<Vec<CertificateDer<'static>>, ProbeError> {
    let wrong = |source| ProbeError::Certificate { path: path.to_owned(), source };
    let file = match std::fs::File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(wrong)?,
    };
    let mut pem = Vec::new();
    file.take(MOST_PEM).read_to_end(&mut pem).map_err(wrong)?;
    let certificates = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>();
    certificates.map_err(|error| wrong(io::Error::other(error.to_string())))
}
