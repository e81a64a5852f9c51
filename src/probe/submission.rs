//! Ports 587 and 465: mail from the site's users.

use super::check::{Id, Verdict, id};
use super::endpoint::Endpoint;
use super::judge;
use super::message::{self, TestMail};
use super::reply::{Problem, Reply};
use super::run::{Run, wrong_password};
use super::smtp::{Smtp, Stage};
use super::target::{Account, Target};
use super::tls::Trust;

impl Run<'_> {
    /// Logs in and submits mail. What doesn't depend on the port is checked on the first one only, so that there is one
    /// wrong password, not one for each port.
    pub(super) async fn submission(&mut self, account: &Account, imap_login: Id) {
        let ports: Vec<_> = [587, 465].into_iter().filter_map(|port| self.target.endpoint(port)).collect();
        for (position, endpoint) in ports.into_iter().enumerate() {
            let port = endpoint.port;
            self.smtp_login(account, endpoint, imap_login).await;
            if position == 0 {
                self.smtp_wrong_password(account, endpoint).await;
            }
            let address = account.address.to_string();
            let message_id = message::new_id(self.target);
            let mail = message::plain(&address, &address, &message_id);
            self.user_sends(account, endpoint, id(port, "message"), id(port, "login"), mail, judge::message).await;
            let headers = self.arrival(port, &message_id).await;
            if position == 0 {
                self.dkim(account, port, headers.as_deref()).await;
                self.submitted_virus(account, endpoint).await;
            }
        }
    }

    async fn smtp_login(&mut self, account: &Account, endpoint: Endpoint, imap_login: Id) {
        let (target, trust, port) = (self.target, &self.trust, endpoint.port);
        let work = async { judge::login(&try_login(target, trust, endpoint, account).await?) };
        // AUTH before TLS may be a trap: somebody between us and the server.
        let offers = id(port, "offers");
        let needs = [imap_login, id(port, "certificate"), if endpoint.starttls { offers } else { imap_login }];
        self.recorder.check(id(port, "login"), &needs, work).await;
    }

    async fn smtp_wrong_password(&mut self, account: &Account, endpoint: Endpoint) {
        let (target, trust, port) = (self.target, &self.trust, endpoint.port);
        let wrong = wrong_password(account);
        let work = async { judge::wrong_password(&try_login(target, trust, endpoint, &wrong).await?) };
        self.recorder.check(id(port, "wrong-password"), &[id(port, "login")], work).await;
    }

    async fn dkim(&mut self, account: &Account, port: u16, headers: Option<&str>) {
        let (domain, selector) = (account.address.domain().as_str(), self.target.selector.as_str());
        let work = async { judge::dkim(headers.unwrap_or_default(), domain, selector) };
        self.recorder.check(id(port, "dkim"), &[id(port, "arrival")], work).await;
    }

    async fn submitted_virus(&mut self, account: &Account, endpoint: Endpoint) {
        let virus = id(endpoint.port, "virus");
        if !self.target.antivirus {
            return self.recorder.skipped(virus, "antivirus.enabled is false");
        }
        let address = account.address.to_string();
        let mail = message::virus(&address, &address, &message::new_id(self.target));
        self.user_sends(account, endpoint, virus, id(endpoint.port, "message"), mail, judge::virus).await;
    }

    async fn user_sends(
        &mut self,
        account: &Account,
        endpoint: Endpoint,
        check: Id,
        need: Id,
        mail: Result<TestMail, Problem>,
        judge: fn(Stage, &Reply) -> Verdict,
    ) {
        let (target, trust, sent) = (self.target, &self.trust, &mut self.sent);
        let work = async {
            let mail = mail?;
            let mut smtp = Smtp::open_tls(target, trust, endpoint).await?;
            let login = smtp.login(account).await?;
            if !login.is_positive() {
                return judge::login(&login);
            }
            let (stage, reply) = smtp.send(&mail, sent).await?;
            smtp.close().await;
            judge(stage, &reply)
        };
        self.recorder.check(check, &[need], work).await;
    }
}

async fn try_login(target: &Target, trust: &Trust, endpoint: Endpoint, account: &Account) -> Result<Reply, Problem> {
    let mut smtp = Smtp::open_tls(target, trust, endpoint).await?;
    let reply = smtp.login(account).await;
    smtp.close().await;
    reply
}
