use std::error::Error as _;

use lettre::Address;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::commands::{Data, Ehlo, Mail, Rcpt};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::response::Response;

use super::endpoint::Endpoint;
use super::message::TestMail;
use super::reply::{Problem, Reply};
use super::target::{Account, Target};
use super::tls::Trust;

/// How this client introduces itself. Nobody can own a name below `invalid` (RFC 2606), so no policy in DNS applies.
pub(super) const CLIENT: &str = "mailimg.invalid";

/// A conversation with the site. lettre bounds the size of each reply.
pub(super) struct Smtp {
    connection: AsyncSmtpConnection,
}

/// The step of a mail that got the reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Sender,
    Recipient,
    /// The whole message is there.
    Message,
}

/// A mail that the site has, or may have if its answer didn't come.
#[derive(Debug)]
pub(super) struct Sent {
    /// The mail's `Message-ID`.
    pub(super) id: String,
    pub(super) is_accepted: bool,
}

fn client() -> ClientId {
    ClientId::Domain(CLIENT.to_owned())
}

impl Smtp {
    /// Connects without TLS, as strangers may, and introduces itself.
    pub(super) async fn open(target: &Target, port: u16) -> Result<Self, Problem> {
        let stream = target.connect(port).await?;
        let connection = AsyncSmtpConnection::connect_with_transport(Box::new(stream), &client()).await;
        Ok(Self { connection: connection.map_err(|error| no_conversation(&error))? })
    }

    /// Connects with TLS, to a server whose certificate is valid.
    pub(super) async fn open_tls(target: &Target, trust: &Trust, endpoint: Endpoint) -> Result<Self, Problem> {
        if endpoint.starttls {
            let mut smtp = Self::open(target, endpoint.port).await?;
            let started = smtp.connection.starttls(trust.for_smtp(), &client()).await;
            started.map_err(|error| Problem::new("STARTTLS fails", &error))?;
            return Ok(smtp);
        }
        let tls = Some(trust.for_smtp());
        let address = target.address(endpoint.port);
        let connection = AsyncSmtpConnection::connect_tokio1(address, None, &client(), tls, None).await;
        Ok(Self { connection: connection.map_err(|error| no_conversation(&error))? })
    }

    /// What the server says to EHLO: its name, then what it offers, a line each.
    pub(super) async fn offers(&mut self) -> Result<Reply, Problem> {
        reply(self.connection.command(Ehlo::new(client())).await)
    }

    /// Logs in. The connection must have TLS.
    pub(super) async fn login(&mut self, account: &Account) -> Result<Reply, Problem> {
        let credentials = Credentials::new(account.address.to_string(), account.password.clone());
        reply(self.connection.auth(&[Mechanism::Plain, Mechanism::Login], &credentials).await)
    }

    /// Names sender and recipient. Returns the reply to the recipient, or the one that refused the sender.
    pub(super) async fn envelope(&mut self, from: &str, to: &str) -> Result<(Stage, Reply), Problem> {
        let sender = reply(self.connection.command(Mail::new(Some(address(from)?), Vec::new())).await)?;
        if !sender.is_positive() {
            return Ok((Stage::Sender, sender));
        }
        Ok((Stage::Recipient, reply(self.connection.command(Rcpt::new(address(to)?, Vec::new())).await)?))
    }

    /// Sends a mail. Returns the reply to it, or the one that refused it earlier.
    pub(super) async fn send(&mut self, mail: &TestMail, sent: &mut Vec<Sent>) -> Result<(Stage, Reply), Problem> {
        let (stage, answer) = self.envelope(&mail.from, &mail.to).await?;
        if !answer.is_positive() {
            return Ok((stage, answer));
        }
        let answer = reply(self.connection.command(Data).await)?;
        if answer.code != 354 {
            return Ok((Stage::Recipient, answer));
        }
        sent.push(Sent { id: mail.id.clone(), is_accepted: false });
        let answer = reply(self.connection.message(&mail.bytes).await)?;
        if !answer.is_positive() {
            sent.pop();
        } else if let Some(last) = sent.last_mut() {
            last.is_accepted = true;
        }
        Ok((Stage::Message, answer))
    }

    /// Says goodbye, so that the server logs no lost connection. What it answers doesn't matter.
    pub(super) async fn close(mut self) {
        self.connection.abort().await;
    }
}

fn address(text: &str) -> Result<Address, Problem> {
    text.parse().map_err(|error| Problem::new("can't write a test mail", &error))
}

/// A reply, whether or not it is positive.
fn reply(result: Result<Response, Error>) -> Result<Reply, Problem> {
    let code = |text: String| text.parse().map_err(|_| Problem::told(format!("{text:?} is not the code of a reply")));
    match result {
        Ok(response) => Ok(Reply {
            code: code(response.code().to_string())?,
            text: response.message().collect::<Vec<_>>().join("\n"),
        }),
        Err(error) => match error.status() {
            Some(status) => Ok(Reply {
                code: code(status.to_string())?,
                text: error.source().map(ToString::to_string).unwrap_or_default(),
            }),
            None => Err(Problem::new("no usable answer", &error)),
        },
    }
}

fn no_conversation(error: &Error) -> Problem {
    Problem::new("the server accepts the connection, but doesn't greet", error)
}
