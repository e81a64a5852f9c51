//! IMAP over TLS with a real client that trusts the server's certificate and nothing else.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::TryStreamExt as _;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

type Session = async_imap::Session<TlsStream<TcpStream>>;

/// One account on one server.
pub struct Mailbox {
    pub address: SocketAddr,
    pub server_name: String,
    pub certificate_pem: String,
    pub user: String,
    pub password: String,
}

impl Mailbox {
    /// Waits until a message in INBOX contains `text`, and returns it.
    pub fn wait_for_message(&self, text: &str) -> String {
        let start = Instant::now();
        loop {
            if let Some(message) = self.find("INBOX", text) {
                return message;
            }
            assert!(start.elapsed() < Duration::from_secs(30), "no mail with {text:?} came for {}", self.user);
            std::thread::sleep(Duration::from_millis(300));
        }
    }

    /// A message in a folder that contains `text`.
    pub fn find(&self, folder: &str, text: &str) -> Option<String> {
        self.messages(folder).into_iter().find(|message| message.contains(text))
    }

    /// All messages of a folder.
    pub fn messages(&self, folder: &str) -> Vec<String> {
        self.fetch(folder, "BODY.PEEK[]")
    }

    /// The headers of all messages of a folder.
    pub fn headers(&self, folder: &str) -> Vec<String> {
        self.fetch(folder, "BODY.PEEK[HEADER]")
    }

    fn fetch(&self, folder: &str, what: &str) -> Vec<String> {
        self.block_on(async {
            let mut session = self.login().await.unwrap();
            let mailbox = session.select(folder).await.unwrap();
            let mut messages = Vec::new();
            if mailbox.exists > 0 {
                let mut stream = session.fetch("1:*", what).await.unwrap();
                while let Some(fetched) = stream.try_next().await.unwrap() {
                    messages.push(
                        String::from_utf8_lossy(fetched.body().or(fetched.header()).unwrap_or_default()).into_owned(),
                    );
                }
            }
            session.logout().await.unwrap();
            messages
        })
    }

    /// The names of all folders with their attributes.
    pub fn folders(&self) -> Vec<String> {
        self.block_on(async {
            let mut session = self.login().await.unwrap();
            let names: Vec<_> = session.list(Some(""), Some("*")).await.unwrap().try_collect().await.unwrap();
            session.logout().await.unwrap();
            names.iter().map(|name| format!("{} {:?}", name.name(), name.attributes())).collect()
        })
    }

    /// Creates a folder, and puts a message there.
    pub fn keep(&self, folder: &str, message: &str) {
        self.block_on(async {
            let mut session = self.login().await.unwrap();
            session.create(folder).await.unwrap();
            session.append(folder, None, None, message).await.unwrap();
            session.logout().await.unwrap();
        });
    }

    /// Opens up to so many sessions, until one is refused, and keeps them open meanwhile. Returns their number, and fails
    /// if one of them has ended.
    pub fn with_sessions(&self, most: usize, meanwhile: impl FnOnce() + Send) -> usize {
        self.block_on(async {
            let mut sessions = Vec::new();
            while sessions.len() < most
                && let Ok(session) = self.login().await
            {
                sessions.push(session);
            }
            // It may use a runtime of its own, which needs a thread of its own.
            std::thread::scope(|scope| scope.spawn(meanwhile).join().unwrap());
            for session in &mut sessions {
                session.noop().await.unwrap();
            }
            sessions.len()
        })
    }

    /// Whether the password is accepted.
    pub fn can_login(&self) -> bool {
        self.block_on(async { self.login().await.is_ok() })
    }

    /// Logs in, does something else, and returns whether the server soon ends the session.
    pub fn ends_with(&self, done: impl FnOnce()) -> bool {
        self.block_on(async {
            let mut session = self.login().await.unwrap();
            session.noop().await.unwrap();
            done();
            for _ in 0..50 {
                if session.noop().await.is_err() {
                    return true;
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            false
        })
    }

    async fn login(&self) -> Result<Session, String> {
        let certificate = CertificateDer::from_pem_slice(self.certificate_pem.as_bytes()).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(certificate).unwrap();
        let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let tcp = TcpStream::connect(self.address).await.map_err(|error| error.to_string())?;
        let name = ServerName::try_from(self.server_name.clone()).unwrap();
        let tls = tokio_rustls::TlsConnector::from(Arc::new(config))
            .connect(name, tcp)
            .await
            .map_err(|error| error.to_string())?;
        let mut client = async_imap::Client::new(tls);
        client.read_response().await.map_err(|error| error.to_string())?.ok_or("no greeting")?;
        client.login(&self.user, &self.password).await.map_err(|(error, _)| error.to_string())
    }

    fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            tokio::time::timeout(Duration::from_mins(5), work)
                .await
                .unwrap_or_else(|_| panic!("IMAP at {} took more than five minutes", self.address))
        })
    }
}
