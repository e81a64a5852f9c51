//! Port 25: mail from strangers.

use std::time::Duration;

use super::check::{Id, Verdict, id};
use super::judge;
use super::message::{self, TestMail};
use super::reply::{Problem, Reply};
use super::run::Run;
use super::smtp::{CLIENT, Sent, Smtp, Stage};
use super::target::{Account, Target};

const PORT: u16 = 25;

/// How often a mail is tried, and the pause between. Postscreen's deeper tests ask new clients to come again (with `450
/// 4.3.2` to the recipient), and so does greylisting.
const ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_secs(5);

impl Run<'_> {
    /// Checks what strangers may do, without a mailbox.
    pub(super) async fn strangers(&mut self) {
        let (target, trust, recorder) = (self.target, &self.trust, &mut self.recorder);
        let Some(endpoint) = target.endpoint(PORT) else { return };
        let greeting = id(PORT, "greeting");
        let auth = async {
            let mut smtp = Smtp::open_tls(target, trust, endpoint).await?;
            let offers = smtp.offers().await?;
            smtp.close().await;
            judge::auth(&offers, target.auth_on_25)
        };
        recorder.check(id(PORT, "auth"), &[greeting, id(PORT, "certificate")], auth).await;

        let foreign = format!("mailimg-test@{}", target.foreign_domain());
        let relay = async {
            let (stage, reply) = patiently(target, What::Envelope(&foreign)).await?;
            judge::relay(stage, &reply, &foreign, &target.trusted_networks)
        };
        recorder.check(id(PORT, "relay"), &[greeting], relay).await;

        let Some(domain) = target.domains.first() else { return };
        let nobody = format!("mailimg-test-{:016x}@{domain}", fastrand::u64(..));
        let unknown = async {
            let (stage, reply) = patiently(target, What::Envelope(&nobody)).await?;
            judge::unknown_user(stage, &reply, &nobody)
        };
        recorder.check(id(PORT, "unknown-user"), &[greeting], unknown).await;
    }

    /// Sends mail to a user of the site, as a stranger.
    pub(super) async fn incoming(&mut self, account: &Account, login: Id) {
        if self.target.endpoint(PORT).is_none() {
            return;
        }
        let (from, to) = (sender(), account.address.to_string());
        let message_id = message::new_id(self.target);
        let mail = message::plain(&from, &to, &message_id);
        self.stranger_sends("message", &[id(PORT, "greeting"), login], mail, judge::message).await;
        let headers = self.arrival(PORT, &message_id).await;
        self.results(headers.as_deref()).await;

        let virus = id(PORT, "virus");
        if !self.target.antivirus {
            return self.recorder.skipped(virus, "antivirus.enabled is false");
        }
        let message_id = message::new_id(self.target);
        let mail = message::virus(&from, &to, &message_id);
        self.stranger_sends("virus", &[id(PORT, "message")], mail, judge::virus).await;
    }

    async fn results(&mut self, headers: Option<&str>) {
        let results = id(PORT, "results");
        if !self.target.dmarc {
            return self.recorder.skipped(results, "dmarc.enabled is false");
        }
        let hostname = self.target.hostname.as_str();
        let work = async { judge::results(headers.unwrap_or_default(), hostname) };
        self.recorder.check(results, &[id(PORT, "arrival")], work).await;
    }

    async fn stranger_sends(
        &mut self,
        what: &'static str,
        needs: &[Id],
        mail: Result<TestMail, Problem>,
        judge: fn(Stage, &Reply) -> Verdict,
    ) {
        let (target, sent) = (self.target, &mut self.sent);
        let work = async {
            let mail = mail?;
            let (stage, reply) = patiently(target, What::Mail(&mail, sent)).await?;
            judge(stage, &reply)
        };
        self.recorder.check(id(PORT, what), needs, work).await;
    }
}

fn sender() -> String {
    format!("test-mail@{CLIENT}")
}

/// What a stranger sends.
enum What<'a> {
    /// Only sender and recipient.
    Envelope(&'a str),
    Mail(&'a TestMail, &'a mut Vec<Sent>),
}

/// Sends as mail servers do: if it is asked to come again with this recipient, it does.
async fn patiently(target: &Target, mut what: What<'_>) -> Result<(Stage, Reply), Problem> {
    let mut attempt = 1;
    loop {
        let mut smtp = Smtp::open(target, PORT).await?;
        let answer = match &mut what {
            What::Envelope(to) => smtp.envelope(&sender(), to).await,
            What::Mail(mail, sent) => smtp.send(mail, sent).await,
        };
        smtp.close().await;
        let (stage, reply) = answer?;
        if attempt == ATTEMPTS || stage != Stage::Recipient || !reply.is_temporary() {
            return Ok((stage, reply));
        }
        attempt += 1;
        tokio::time::sleep(PAUSE).await;
    }
}
