//! What a server's answers mean. Nothing here connects to anything.

#[cfg(test)]
mod tests;

use rustls::CertificateError;

use super::check::{Verdict, wrong};
use super::endpoint::Protocol;
use super::reply::{LATER, Reply, SERVICES, shown};
use super::smtp::Stage;

const CONFIGURATION: &str = "either the configuration in images/ was changed, or another server answers: name the \
                             right one with --server";

/// The name that the server gives itself.
pub(super) fn greeting(line: &str, hostname: &str) -> Verdict {
    let name = line.split_whitespace().next().unwrap_or_default();
    if name.eq_ignore_ascii_case(hostname) {
        return Ok(format!("{hostname} greets"));
    }
    wrong(
        format!("the server calls itself {:?}, not {hostname}", shown(name)),
        "another server answers: name the right one with --server. If `hostname` was changed, run `mailimg up`",
    )
}

/// What the server offers before TLS: each line is a keyword with its parameters (SMTP), or all are words (IMAP).
pub(super) fn offers(protocol: Protocol, lines: &[String]) -> Verdict {
    let has = |wanted: &str| has_keyword(protocol, lines, wanted);
    if !has("STARTTLS") {
        return wrong("STARTTLS isn't offered", format!("it needs the site's certificate and its key. {SERVICES}"));
    }
    match protocol {
        Protocol::Smtp if has("AUTH") => {
            wrong("AUTH is offered before TLS, so passwords may be sent in the clear", CONFIGURATION)
        }
        Protocol::Smtp if has("SMTPUTF8") => {
            wrong("SMTPUTF8 is offered, but Dovecot can't deliver such mail: it would bounce", CONFIGURATION)
        }
        Protocol::Smtp => Ok("STARTTLS is offered, AUTH before TLS and SMTPUTF8 are not".to_owned()),
        Protocol::Imap if has("LOGINDISABLED") => Ok("STARTTLS is offered, a login before TLS is not".to_owned()),
        Protocol::Imap => wrong("logins are allowed before TLS, so passwords may be sent in the clear", CONFIGURATION),
    }
}

/// What port 25 offers with TLS, and whether users may log in there.
pub(super) fn auth(reply: &Reply, is_allowed: bool) -> Verdict {
    let lines: Vec<_> = reply.text.lines().skip(1).map(str::to_owned).collect();
    match (has_keyword(Protocol::Smtp, &lines, "AUTH"), is_allowed) {
        (true, true) => Ok("AUTH is offered after STARTTLS, as smtp.auth-on-25 says".to_owned()),
        (false, false) => Ok("AUTH isn't offered after STARTTLS either".to_owned()),
        (true, false) => wrong("AUTH is offered, but smtp.auth-on-25 is false", "run `mailimg up`"),
        (false, true) => wrong("AUTH isn't offered, but smtp.auth-on-25 is true", "run `mailimg up`"),
    }
}

fn has_keyword(protocol: Protocol, lines: &[String], wanted: &str) -> bool {
    // Some servers write AUTH=PLAIN, for old clients.
    let is_wanted = |word: &str| word.split('=').next().is_some_and(|word| word.eq_ignore_ascii_case(wanted));
    lines.iter().any(|line| match protocol {
        Protocol::Smtp => line.split_whitespace().next().is_some_and(is_wanted),
        Protocol::Imap => line.split_whitespace().any(is_wanted),
    })
}

/// The certificate, as verified for the site's name.
pub(super) fn certificate(
    verified: &Result<(), rustls::Error>,
    days_left: Option<i64>,
    is_own: bool,
    hostname: &str,
) -> Verdict {
    let reason = match verified {
        Ok(()) => {
            let whose = if is_own { "the site's own, self-signed" } else { "trusted" };
            let rest = days_left.map_or_else(String::new, |days| format!(", {days} days left"));
            return Ok(format!("valid for {hostname}, {whose}{rest}"));
        }
        Err(rustls::Error::InvalidCertificate(error)) => error,
        Err(other) => return wrong(shown(&other.to_string()), SERVICES),
    };
    let renew = "renew it: the server uses a new certificate within a minute";
    match reason {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => wrong(
            "nobody that this machine trusts has signed the certificate, and it isn't the one in secrets/tls",
            "if the server has the right one, copy its secrets/tls/fullchain.pem into this project. With \
             tls.directory, fullchain.pem must contain the whole chain",
        ),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            let ago = days_left.map_or_else(String::new, |days| format!(" {} days ago", days.saturating_neg()));
            wrong(format!("the certificate has expired{ago}"), renew)
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => wrong(
            format!("the certificate isn't for {hostname}: {}", shown(&reason.to_string())),
            "get one for `hostname` in mailimg.toml. For a self-signed one, remove secrets/tls and run `mailimg up`",
        ),
        // Which `openssl req -x509` makes by default.
        other if other.to_string().contains("CaUsedAsEndEntity") => wrong(
            "it is the certificate of an authority (CA:TRUE), which clients don't accept from a server",
            "get one for a server. Without tls.directory, mailimg makes one",
        ),
        other => wrong(shown(&other.to_string()), renew),
    }
}

/// No TLS at all.
pub(super) fn no_tls(reason: &str) -> Verdict {
    wrong(reason, SERVICES)
}

/// Versions of TLS: whether each should be accepted, and whether it was.
pub(super) fn versions(seen: &[(&str, bool, bool)]) -> Verdict {
    let names = |is: &dyn Fn(bool, bool) -> bool| {
        let names = seen.iter().filter(|(_, wanted, accepted)| is(*wanted, *accepted)).map(|(name, ..)| *name);
        names.collect::<Vec<_>>().join(" and ")
    };
    let missing = names(&|wanted, accepted| wanted && !accepted);
    let excess = names(&|wanted, accepted| !wanted && accepted);
    let are = |names: &str| if names.contains(' ') { "are" } else { "is" };
    if !missing.is_empty() {
        return wrong(format!("TLS {missing} {} refused", are(&missing)), SERVICES);
    }
    if !excess.is_empty() {
        return wrong(format!("TLS {excess} {} accepted, but insecure", are(&excess)), CONFIGURATION);
    }
    let refused = names(&|_, accepted| !accepted);
    Ok(format!("TLS {}; {refused} {} refused", names(&|_, accepted| accepted), are(&refused)))
}

/// The reply to a recipient elsewhere, without login.
pub(super) fn relay(stage: Stage, reply: &Reply, recipient: &str, trusted: &[String]) -> Verdict {
    match refused(stage, reply) {
        Some(verdict) => verdict,
        // Only the server knows which address this machine has there.
        None if !trusted.is_empty() => wrong(
            format!("mail for {recipient} is accepted without login: {reply}"),
            format!(
                "clients in {} may send so (smtp.trusted-networks). If this machine is one of them, test from another, or \
                 leave this check out: --skip 25-relay. If it isn't, the server is an open relay: stop it with `mailimg down`",
                trusted.join(", ")
            ),
        ),
        None => wrong(
            format!("an open relay: mail for {recipient} is accepted without login: {reply}"),
            "spammers will find it soon: stop the server with `mailimg down`, then compare smtpd_relay_restrictions in \
             images/postfix with the original",
        ),
    }
}

/// The reply to a recipient who can't exist.
pub(super) fn unknown_user(stage: Stage, reply: &Reply, recipient: &str) -> Verdict {
    match refused(stage, reply) {
        Some(verdict) => verdict,
        None => wrong(
            format!("mail for {recipient}, who doesn't exist, is accepted: {reply}"),
            "if an alias takes all mail of the domain, leave this check out: --skip 25-unknown-user",
        ),
    }
}

/// A recipient that is refused for good, or not told; none if it is accepted.
fn refused(stage: Stage, reply: &Reply) -> Option<Verdict> {
    if reply.is_positive() {
        return None;
    }
    Some(if stage == Stage::Recipient && reply.is_final() {
        Ok(reply.to_string())
    } else {
        wrong(told(stage, reply), services(reply))
    })
}

/// The reply to a harmless mail.
pub(super) fn message(stage: Stage, reply: &Reply) -> Verdict {
    if stage == Stage::Message && reply.is_positive() {
        return Ok(reply.to_string());
    }
    let hint = match reply.code {
        552 => "the mailbox is full: delete mail in it, or see `mailimg user set --quota`",
        _ if reply.is_temporary() => LATER,
        _ => "the reply says why. `mailimg logs postfix` may tell more",
    };
    wrong(told(stage, reply), hint)
}

/// The reply to a mail with a virus, where a harmless one was accepted.
pub(super) fn virus(stage: Stage, reply: &Reply) -> Verdict {
    if stage == Stage::Message && reply.is_final() {
        return Ok(reply.to_string());
    }
    if reply.is_positive() {
        let detail = format!("the EICAR test virus is accepted: {reply}");
        return wrong(detail, "see which signatures ClamAV has loaded: `mailimg logs clamav`");
    }
    wrong(told(stage, reply), services(reply))
}

fn services(reply: &Reply) -> &'static str {
    if reply.is_temporary() { LATER } else { SERVICES }
}

fn told(stage: Stage, reply: &Reply) -> String {
    match stage {
        Stage::Sender => format!("the sender is refused: {reply}"),
        Stage::Recipient => format!("the recipient is refused: {reply}"),
        Stage::Message => format!("the mail is refused: {reply}"),
    }
}

/// The reply to the right password.
pub(super) fn login(reply: &Reply) -> Verdict {
    match reply.code {
        235 => Ok(reply.to_string()),
        535 => wrong(
            format!("the login is refused: {reply}"),
            "the same password works on another port: see `mailimg logs postfix dovecot`",
        ),
        _ => wrong(format!("the login fails: {reply}"), services(reply)),
    }
}

/// The reply to a wrong password.
pub(super) fn wrong_password(reply: &Reply) -> Verdict {
    match reply.code {
        535 => Ok(reply.to_string()),
        code if code < 400 => wrong(format!("a wrong password is accepted: {reply}"), ANY_PASSWORD),
        _ => wrong(format!("the login is neither accepted nor refused: {reply}"), services(reply)),
    }
}

const ANY_PASSWORD: &str = "anybody can log in: stop the server with `mailimg down`, then compare images/dovecot with \
                            the original";

/// The answer to the right password over IMAP: the reason of a refusal, if it is refused.
pub(super) fn imap_login(refusal: Option<&str>) -> Verdict {
    match refusal {
        None => Ok("logged in".to_owned()),
        Some(reason) if is_about_password(reason) => wrong(
            format!("the login is refused: {reason}"),
            "try the password again; `mailimg user list` says whether there is such a user, `mailimg user passwd` \
             sets a new password",
        ),
        Some(reason) => wrong(format!("the login fails: {reason}"), SERVICES),
    }
}

/// The same for a wrong password.
pub(super) fn imap_wrong_password(refusal: Option<&str>) -> Verdict {
    match refusal {
        None => wrong("a wrong password is accepted", ANY_PASSWORD),
        Some(reason) if is_about_password(reason) => Ok(reason.to_owned()),
        Some(reason) => wrong(format!("the login is neither accepted nor refused: {reason}"), SERVICES),
    }
}

/// Dovecot answers with other codes while it can't ask the database, or has a connection too many (RFC 5530).
fn is_about_password(reason: &str) -> bool {
    reason.to_ascii_uppercase().replace(' ', "").contains("AUTHENTICATIONFAILED")
}

/// Where an accepted mail was found, if it was.
pub(super) fn arrival(folder: Option<&str>, seconds: f32) -> Verdict {
    match folder {
        Some(folder) => Ok(format!("in {} after {seconds:.1} s", shown(folder))),
        None => wrong(
            format!("the mail was accepted, but isn't in the mailbox after {seconds:.0} s"),
            "`mailimg queue list` says whether it is waiting. An alias of the user's name, or a Sieve script, may send \
             it elsewhere",
        ),
    }
}

/// What the site's own filters found out about a mail from outside.
pub(super) fn results(headers: &str, hostname: &str) -> Verdict {
    let results = values(headers, "Authentication-Results");
    let own = results.iter().filter_map(|value| {
        let (server, results) = value.split_once(';')?;
        server.trim().eq_ignore_ascii_case(hostname).then(|| results.trim().to_owned())
    });
    let own: Vec<_> = own.collect();
    if own.is_empty() {
        return wrong(
            format!("no Authentication-Results from {hostname}: nobody has checked SPF, DKIM and DMARC"),
            "see why OpenDMARC doesn't answer: `mailimg logs postfix`",
        );
    }
    Ok(shown(&own.join("; ")))
}

/// The signature of a mail that a user of `domain` has submitted.
pub(super) fn dkim(headers: &str, domain: &str, selector: &str) -> Verdict {
    let signatures = values(headers, "DKIM-Signature");
    let tag = |signature: &str, name: &str| {
        let tags = signature.split(';').filter_map(|tag| tag.split_once('='));
        tags.map(|(key, value)| (key.trim(), value.trim()))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value.to_owned())
    };
    let by: Vec<_> = signatures
        .iter()
        .map(|signature| (tag(signature, "d").unwrap_or_default(), tag(signature, "s").unwrap_or_default()))
        .collect();
    if by.iter().any(|(d, s)| d == domain && s == selector) {
        return Ok(format!("signed for {domain} with {selector}._domainkey"));
    }
    let hint = "`mailimg domain list` says whether the domain has a key; `mailimg dkim` makes it, `mailimg up` uses it";
    match by.first() {
        None => wrong(format!("not signed for {domain}"), hint),
        Some((d, s)) => {
            wrong(format!("not signed for {domain} with {selector}, but for {} with {}", shown(d), shown(s)), hint)
        }
    }
}

/// The values of all headers of this name, each on one line.
fn values(headers: &str, name: &str) -> Vec<String> {
    let unfolded = headers.replace("\r\n", "\n").replace("\n ", " ").replace("\n\t", " ");
    let headers = unfolded.lines().filter_map(|line| line.split_once(':'));
    headers.filter(|(key, _)| key.trim().eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_owned()).collect()
}
