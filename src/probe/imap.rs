use std::collections::BTreeSet;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use async_imap::error::Error;
use async_imap::types::NameAttribute;
use async_imap::{Client, Session};
use futures_util::TryStreamExt as _;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::endpoint::Endpoint;
use super::reply::{Problem, shown};
use super::target::{Account, Target};
use super::tls::Trust;
use super::transport::before_tls;

/// What a server may send in one session, after its certificate has been verified. Only names of folders and the headers
/// of test mails are fetched.
const MOST: usize = 16 << 20;

/// Folders that are searched. A script of the user may file test mails anywhere.
const MOST_FOLDERS: usize = 50;

/// A connection that ends when the server has sent too much.
#[derive(Debug)]
pub(super) struct Imap {
    stream: TcpStream,
    left: usize,
}

impl AsyncRead for Imap {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, buffer))?;
        let left = this.left.checked_sub(buffer.filled().len() - before);
        this.left = left.ok_or_else(|| io::Error::other("the server sends too much"))?;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Imap {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

/// A user's mailbox, open.
pub(super) struct Mailbox {
    session: Session<TlsStream<Imap>>,
    /// INBOX comes first.
    folders: Vec<String>,
}

/// Where a mail is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) folder: String,
    uid: u32,
}

/// What came of a login.
pub(super) enum Login {
    Open(Box<Mailbox>),
    /// The server's reason.
    Refused(String),
}

impl Mailbox {
    /// Logs in, over TLS, to a server whose certificate is valid.
    pub(super) async fn login(
        target: &Target,
        trust: &Trust,
        endpoint: Endpoint,
        account: &Account,
    ) -> Result<Login, Problem> {
        let client = open(target, trust, endpoint).await?;
        let mut session = match client.login(account.address.to_string(), &account.password).await {
            Ok(session) => session,
            Err((Error::No(said), _)) => return Ok(Login::Refused(shown(reason(&said)))),
            Err((error, _)) => return Err(Problem::new("can't log in", &error)),
        };
        let names: Vec<_> =
            session.list(Some(""), Some("*")).await.map_err(failed)?.try_collect().await.map_err(failed)?;
        let selectable = names.iter().filter(|name| !name.attributes().contains(&NameAttribute::NoSelect));
        let others = selectable.map(|name| name.name().to_owned()).filter(|name| !name.eq_ignore_ascii_case("INBOX"));
        let folders = std::iter::once("INBOX".to_owned()).chain(others.take(MOST_FOLDERS)).collect();
        Ok(Login::Open(Box::new(Self { session, folders })))
    }

    /// Looks for a mail of this run.
    pub(super) async fn find(&mut self, message_id: &str) -> Result<Option<Place>, Problem> {
        for folder in self.folders.clone() {
            // Unlike SELECT, this changes nothing.
            self.session.examine(&folder).await.map_err(failed)?;
            if let Some(uid) = self.search(message_id).await?.first() {
                return Ok(Some(Place { folder, uid: *uid }));
            }
        }
        Ok(None)
    }

    async fn search(&mut self, message_id: &str) -> Result<BTreeSet<u32>, Problem> {
        let query = format!("HEADER Message-ID \"{message_id}\"");
        Ok(self.session.uid_search(query).await.map_err(failed)?.into_iter().collect())
    }

    /// The headers of a mail.
    pub(super) async fn headers(&mut self, place: &Place) -> Result<String, Problem> {
        self.session.examine(&place.folder).await.map_err(failed)?;
        let mails = self.session.uid_fetch(place.uid.to_string(), "BODY.PEEK[HEADER]").await.map_err(failed)?;
        let mails: Vec<_> = mails.try_collect().await.map_err(failed)?;
        let header = mails.iter().find_map(|mail| mail.header());
        Ok(String::from_utf8_lossy(header.unwrap_or_default()).into_owned())
    }

    /// Deletes mails wherever they are, and no others. Returns which ones.
    pub(super) async fn delete(&mut self, message_ids: &[String]) -> Result<BTreeSet<String>, Problem> {
        let mut deleted = BTreeSet::new();
        for id in message_ids {
            while let Some(place) = self.find(id).await? {
                self.session.select(&place.folder).await.map_err(failed)?;
                let uid = place.uid.to_string();
                let flagged = self.session.uid_store(&uid, "+FLAGS.SILENT (\\Deleted)").await.map_err(failed)?;
                flagged.try_collect::<Vec<_>>().await.map_err(failed)?;
                // Other mails that are marked as deleted are the user's.
                let expunged = self.session.uid_expunge(&uid).await.map_err(failed)?;
                expunged.try_collect::<Vec<_>>().await.map_err(failed)?;
                deleted.insert(id.clone());
            }
        }
        Ok(deleted)
    }

    /// Says goodbye. What the server answers doesn't matter.
    pub(super) async fn close(mut self) {
        let _ = self.session.logout().await;
    }
}

/// Whether a login is refused; otherwise it would succeed. The server's reason.
pub(super) async fn refusal(
    target: &Target,
    trust: &Trust,
    endpoint: Endpoint,
    account: &Account,
) -> Result<Option<String>, Problem> {
    match Mailbox::login(target, trust, endpoint, account).await? {
        Login::Refused(reason) => Ok(Some(reason)),
        Login::Open(mailbox) => {
            mailbox.close().await;
            Ok(None)
        }
    }
}

async fn open(target: &Target, trust: &Trust, endpoint: Endpoint) -> Result<Client<TlsStream<Imap>>, Problem> {
    let stream = Imap { stream: before_tls(target, endpoint).await?, left: MOST };
    let tls = trust.for_imap(stream).await.map_err(|error| Problem::new("TLS can't be started", &error))?;
    let mut client = Client::new(tls);
    // STARTTLS comes after the greeting.
    if !endpoint.starttls && client.read_response().await.map_err(|error| failed(error.into()))?.is_none() {
        return Err(Problem::told("the server hangs up without a greeting"));
    }
    Ok(client)
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn failed(error: Error) -> Problem {
    Problem::new("no usable answer", &error)
}

/// The text of a refusal, which async-imap wraps: `code: None, info: Some("[UNAVAILABLE] …")`.
fn reason(said: &str) -> &str {
    let text = said.split_once("info: Some(\"").and_then(|(_, text)| text.strip_suffix("\")"));
    text.unwrap_or(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_in_the_servers_words() {
        assert_eq!(reason(r#"code: None, info: Some("[AUTHENTICATIONFAILED] No.")"#), "[AUTHENTICATIONFAILED] No.");
        assert_eq!(reason("code: None, info: None"), "code: None, info: None");
    }
}
