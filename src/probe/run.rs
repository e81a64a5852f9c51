use std::time::{Duration, Instant};

use super::check::{Check, Recorder, id};
use super::imap::Mailbox;
use super::smtp::Sent;
use super::target::{Account, ProbeError, Target};
use super::tls::Trust;
use crate::progress::{Progress, Total};

/// What to test, and within what time.
pub struct Order<'a> {
    pub target: &'a Target,
    /// Without one, nobody logs in and no mail is sent.
    pub account: Option<&'a Account>,
    /// Checks to leave out.
    pub skip: &'a [String],
    /// How long all checks together may take, without the removal of test mails at the end.
    pub time: Duration,
    pub progress: &'a dyn Progress,
}

/// Tests a site, and tells of each check as soon as it is done. An interrupt ends the checks, and test mails still go.
pub async fn run(order: Order<'_>, told: &mut dyn FnMut(&Check)) -> Result<Vec<Check>, ProbeError> {
    let title = format!("Testing {}", order.target.server);
    let recorder = Recorder {
        skip: order.skip,
        until: Instant::now() + order.time,
        step: order.progress.start(&title, Total::Unknown),
        told,
        checks: Vec::new(),
    };
    let trust = Trust::in_site(order.target)?;
    let mut run = Run { target: order.target, trust, recorder, mailbox: None, sent: Vec::new() };
    let is_finished = tokio::select! {
        () = Box::pin(run.all(order.account)) => true,
        _ = tokio::signal::ctrl_c() => false,
    };
    if let Some(account) = order.account {
        run.clean_up(account).await;
    }
    if is_finished { Ok(run.recorder.checks) } else { Err(ProbeError::Interrupted) }
}

/// A test of a site, under way.
pub(super) struct Run<'a> {
    pub(super) target: &'a Target,
    pub(super) trust: Trust,
    pub(super) recorder: Recorder<'a>,
    /// Open if the login has succeeded.
    pub(super) mailbox: Option<Mailbox>,
    /// What has to be deleted at the end.
    pub(super) sent: Vec<Sent>,
}

impl Run<'_> {
    async fn all(&mut self, account: Option<&Account>) {
        for (endpoint, _) in &self.target.endpoints {
            self.transport(*endpoint).await;
        }
        self.strangers().await;
        if let (Some(account), Some(endpoint)) = (account, self.target.imap_endpoint()) {
            self.open_mailbox(account).await;
            let login = id(endpoint.port, "login");
            self.incoming(account, login).await;
            Box::pin(self.submission(account, login)).await;
            self.imap_wrong_password(account).await;
        }
    }
}

/// The same user with a password that nobody has.
pub(super) fn wrong_password(account: &Account) -> Account {
    let password = format!("wrong-{:016x}", fastrand::u64(..));
    Account { address: account.address.clone(), password }
}
