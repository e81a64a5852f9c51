//! The user's mailbox: logins over IMAP, test mails that arrive, and their removal.

use std::time::{Duration, Instant};

use super::check::{CLEANUP, id, wrong};
use super::imap::{Login, Mailbox, Place, refusal};
use super::judge;
use super::reply::Problem;
use super::run::{Run, wrong_password};
use super::target::Account;

/// How long an accepted mail may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(45);
/// How long to wait for mails that may still come before the rest are deleted.
const STRAGGLERS: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(500);

impl Run<'_> {
    /// Logs in and keeps the mailbox open. It comes before all other logins: if the password is wrong, none follows.
    pub(super) async fn open_mailbox(&mut self, account: &Account) {
        let Some(endpoint) = self.target.imap_endpoint() else { return };
        let (target, trust, mailbox) = (self.target, &self.trust, &mut self.mailbox);
        let work = async {
            match Mailbox::login(target, trust, endpoint, account).await? {
                Login::Refused(reason) => judge::imap_login(Some(&reason)),
                Login::Open(open) => {
                    *mailbox = Some(*open);
                    judge::imap_login(None)
                }
            }
        };
        let certificate = id(endpoint.port, "certificate");
        self.recorder.check(id(endpoint.port, "login"), &[certificate], work).await;
    }

    pub(super) async fn imap_wrong_password(&mut self, account: &Account) {
        let Some(endpoint) = self.target.imap_endpoint() else { return };
        let (target, trust) = (self.target, &self.trust);
        let wrong = wrong_password(account);
        let work = async { judge::imap_wrong_password(refusal(target, trust, endpoint, &wrong).await?.as_deref()) };
        let login = id(endpoint.port, "login");
        self.recorder.check(id(endpoint.port, "wrong-password"), &[login], work).await;
    }

    /// Waits until a mail that was accepted on a port has arrived, and returns its headers.
    pub(super) async fn arrival(&mut self, port: u16, message_id: &str) -> Option<String> {
        let mut headers = None;
        let mailbox = &mut self.mailbox;
        let work = async {
            let Some(mailbox) = mailbox else { return Err(Problem::told("the mailbox is closed").into()) };
            let start = Instant::now();
            let place = wait_for(mailbox, message_id, ARRIVAL).await?;
            if let Some(place) = &place {
                headers = Some(mailbox.headers(place).await?);
            }
            judge::arrival(place.as_ref().map(|place| place.folder.as_str()), start.elapsed().as_secs_f32())
        };
        self.recorder.check(id(port, "arrival"), &[id(port, "message")], work).await;
        headers
    }

    /// Deletes the test mails, over a new session: the old one may have been left in the middle of a command.
    pub(super) async fn clean_up(&mut self, account: &Account) {
        if self.sent.is_empty() {
            return;
        }
        self.mailbox = None;
        let Some(endpoint) = self.target.imap_endpoint() else { return };
        let (target, trust, sent) = (self.target, &self.trust, &self.sent);
        let work = async {
            let Login::Open(mut mailbox) = Mailbox::login(target, trust, endpoint, account).await? else {
                return wrong("can't log in to delete the test mails", BY_HAND);
            };
            let start = Instant::now();
            let ids: Vec<_> = sent.iter().map(|mail| mail.id.clone()).collect();
            let mut deleted = mailbox.delete(&ids).await?;
            while deleted.len() < sent.len() && start.elapsed() < STRAGGLERS {
                tokio::time::sleep(PAUSE).await;
                deleted.extend(mailbox.delete(&ids).await?);
            }
            mailbox.close().await;
            let told = format!("{} deleted", count(deleted.len()));
            let missing = sent.iter().filter(|mail| mail.is_accepted && !deleted.contains(&mail.id)).count();
            if missing > 0 {
                return wrong(format!("{told}; {missing} accepted, but not in the mailbox"), BY_HAND);
            }
            Ok(told)
        };
        self.recorder.last(CLEANUP, work).await;
    }
}

const BY_HAND: &str = "delete by hand what is left or still arrives: its subject is \"mailimg test-mail\"";

async fn wait_for(mailbox: &mut Mailbox, message_id: &str, limit: Duration) -> Result<Option<Place>, Problem> {
    let start = Instant::now();
    loop {
        let place = mailbox.find(message_id).await?;
        if place.is_some() || start.elapsed() >= limit {
            return Ok(place);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn count(mails: usize) -> String {
    match mails {
        1 => "1 test mail".to_owned(),
        many => format!("{many} test mails"),
    }
}
