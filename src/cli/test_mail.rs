use std::time::Duration;

use serde_json::{Value, json};

use super::exit::Exit;
use super::password::PasswordArgs;
use super::{Context, Failure, complete};
use crate::config::{Address, Project};
use crate::probe::{self, Account, Check, Order, Outcome, Target};
use crate::similar::similar;

/// Test the running mail server from outside.
///
/// Connects to the site's ports as other mail servers and users' programs do, and prints one line per check: whether it
/// passed, what was seen, and what to do if it failed. Host name, ports, domains and features come from mailimg.toml. The
/// command works on the server and anywhere else with a copy of the project. It needs no container engine.
///
/// With --user, it also logs in and sends mail, some of it with the harmless EICAR test virus, and checks what arrives.
/// It tries a wrong password twice, once over SMTP and once over IMAP. At the end it deletes its own mails and no others.
/// It sends the password only over TLS, and only to a server with a valid certificate. A self-signed certificate is valid
/// if it is the one in the project's secrets.
///
/// Exits with 1 if a check failed.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  mailimg test-mail                               TLS, relaying and unknown recipients
  mailimg test-mail --user admin@example.org      logins, mail and viruses, too
  mailimg test-mail --user admin@example.org --password-file admin-password --json | jq '.failed'
  mailimg test-mail --server 127.0.0.1            on the server, if its name resolves elsewhere")]
pub(super) struct Args {
    /// The user of the site to log in as, who also receives the test mails
    #[arg(long, value_name = "ADDRESS", add = complete::users())]
    user: Option<Address>,
    #[command(flatten)]
    password: PasswordArgs,
    /// The host name or address to connect to [default: hostname in mailimg.toml]
    #[arg(long, value_name = "HOST")]
    server: Option<String>,
    /// A check to leave out, by the name in its line; may be repeated
    #[arg(long, value_name = "CHECK", value_parser = known_check)]
    skip: Vec<String>,
    /// How many seconds all checks together may take
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    timeout: u32,
    /// Print a JSON object with server, user, failed (the names of checks) and checks, each with id, status (passed,
    /// failed or skipped), detail, hint (only if failed) and seconds
    #[arg(long)]
    json: bool,
}

fn known_check(text: &str) -> Result<String, String> {
    let ids = probe::ids();
    if ids.iter().any(|id| id == text) {
        return Ok(text.to_owned());
    }
    Err(match similar(text, ids.iter().map(String::as_str)).first() {
        Some(id) => format!("there is no such check; did you mean {id}?"),
        None => format!("there is no such check; known: {}", ids.join(", ")),
    })
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let project = Project::open(context.project())?;
    let target = Target::of(&project, args.server.as_deref())?;
    let account = args.account(&target)?;
    let ui = context.ui();
    let order = Order {
        target: &target,
        account: account.as_ref(),
        skip: &args.skip,
        time: Duration::from_secs(args.timeout.into()),
        progress: ui,
    };
    let mut written = Ok(());
    let mut tell = |check: &Check| {
        if !args.json && written.is_ok() {
            written = ui.line(line(check));
        }
    };
    let checks = context.block_on(probe::run(order, &mut tell))??;
    written?;
    let failed: Vec<String> =
        checks.iter().filter(|check| has_failed(check)).map(|check| check.id.to_string()).collect();
    if args.json {
        ui.json(&object(&target, account.as_ref(), &checks, &failed))?;
    } else {
        let next = (account.is_none() && failed.is_empty()).then_some(NO_USER);
        ui.done(&summary(&checks), next);
    }
    if failed.is_empty() {
        return Ok(());
    }
    Err(Failure::told(Exit::No, format!("failed: {}", failed.join(", "))))
}

fn summary(checks: &[Check]) -> String {
    let count = |is: fn(&Outcome) -> bool| checks.iter().filter(|check| is(&check.outcome)).count();
    let passed = count(|outcome| matches!(outcome, Outcome::Passed { .. }));
    let skipped = count(|outcome| matches!(outcome, Outcome::Skipped { .. }));
    let of_those = format!("{passed} of {} checks passed", checks.len() - skipped);
    if skipped == 0 { of_those } else { format!("{of_those}, {skipped} skipped") }
}

const NO_USER: &str = "`mailimg test-mail --user ADDRESS`, which also logs in and sends mail";

impl Args {
    fn account(&self, target: &Target) -> Result<Option<Account>, Failure> {
        let Some(address) = &self.user else {
            if self.password.is_given() {
                return Err(Failure::told(Exit::Usage, "a password without --user").hint("add --user ADDRESS"));
            }
            return Ok(None);
        };
        target.check_user(address)?;
        Ok(Some(Account { address: address.clone(), password: self.password.read()? }))
    }
}

fn has_failed(check: &Check) -> bool {
    matches!(check.outcome, Outcome::Failed(_))
}

/// What a check came to: status, detail and hint.
fn parts(check: &Check) -> (&'static str, &str, Option<&str>) {
    match &check.outcome {
        Outcome::Passed { detail } => ("passed", detail, None),
        Outcome::Failed(wrong) => ("failed", &wrong.detail, Some(&wrong.hint)),
        Outcome::Skipped { reason } => ("skipped", reason, None),
    }
}

fn line(check: &Check) -> String {
    let (status, detail, hint) = parts(check);
    let seconds = check.time.as_secs_f32();
    let time = if seconds < 1.0 { String::new() } else { format!(" ({seconds:.1} s)") };
    let hint = hint.map_or_else(String::new, |hint| format!(" → {hint}"));
    format!("{status:<7}  {:<18}  {detail}{time}{hint}", check.id.to_string())
}

fn object(target: &Target, account: Option<&Account>, checks: &[Check], failed: &[String]) -> Value {
    let checks = checks.iter().map(|check| {
        let (status, detail, hint) = parts(check);
        let seconds = (check.time.as_secs_f64() * 1000.0).round() / 1000.0;
        let mut object = json!({ "id": check.id.to_string(), "status": status, "detail": detail, "seconds": seconds });
        if let (Some(hint), Some(fields)) = (hint, object.as_object_mut()) {
            fields.insert("hint".to_owned(), hint.into());
        }
        object
    });
    json!({
        "server": target.server,
        "user": account.map(|account| account.address.to_string()),
        "failed": failed,
        "checks": checks.collect::<Vec<_>>(),
    })
}
