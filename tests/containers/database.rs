//! Users' passwords leave the database only encrypted, and clients verify its certificate against the internal CA.

use std::process::Command;
use std::time::Duration;

use crate::common::{engine, wait_for};
use crate::stack::{self, ALICE};

/// Runs a command as root in a container: its output, and whether it succeeded.
fn shell(container: &str, script: &str) -> (bool, String) {
    let output = Command::new("docker").args(["exec", container, "sh", "-c", script]).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn postfix_asks_only_a_database_that_the_internal_authority_vouches_for() {
    let stack = stack::shared();
    let postfix = stack.container("postfix");
    let query = |file: &str| shell(&postfix, &format!("postmap -q {} mysql:{file}", ALICE.0));
    assert_eq!(query("/run/postfix/sql/mailboxes.cf"), (true, "1\n".to_owned()));
    // The site's certificate has not signed the database's.
    let edit = "sed 's,^tls_CAfile = .*,tls_CAfile = /etc/mailimg/tls/fullchain.pem,' /run/postfix/sql/mailboxes.cf";
    let (made, said) = shell(&postfix, &format!("{edit} >/run/postfix/other.cf"));
    assert!(made, "{said}");
    let (answered, said) = query("/run/postfix/other.cf");
    let (removed, _) = shell(&postfix, "rm /run/postfix/other.cf");
    assert!(removed);
    assert!(!answered && said.to_lowercase().contains("certificate"), "{said}");
}

#[test]
fn dovecot_asks_only_a_database_that_the_internal_authority_vouches_for() {
    let stack = stack::exclusive();
    let dovecot = stack.container("dovecot");
    let authority = "/run/mailimg/internal-ca.pem";
    let user = || shell(&dovecot, &format!("doveadm user {}", ALICE.0));
    let (found, said) = user();
    assert!(found && said.contains("/srv/mail/"), "{said}");
    let replace = |by: &str| {
        let (done, said) = shell(&dovecot, &format!("mv {authority} {authority}.old && {by} && doveadm reload"));
        assert!(done, "{said}");
    };
    replace(&format!("cp /etc/mailimg/tls/fullchain.pem {authority}"));
    // A process that is about to exit may still answer.
    let refused = (0..50).any(|_| {
        std::thread::sleep(Duration::from_millis(200));
        !user().0
    });
    replace(&format!("cp /run/secrets/internal-ca.pem {authority}"));
    stack.wait_until_healthy("dovecot");
    assert!(refused, "Dovecot asked a database that the site's own certificate does not vouch for");
    let logs = engine::logs(&dovecot);
    assert!(logs.lines().any(|line| line.contains("mysql") && line.contains("certificate")), "{logs}");
    wait_for("Dovecot finds users again", Duration::from_secs(30), || user().0.then_some(()));
}
