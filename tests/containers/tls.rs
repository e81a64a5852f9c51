//! The supported versions of TLS.

use std::time::Duration;

use openssl::ssl::SslVersion;

use crate::common::project::Project;
use crate::common::smtp::{accepts_tls, certificate};
use crate::common::{engine, wait_for};
use crate::stack::{self, ALICE, DOMAIN};

#[test]
fn tls_1_2_and_1_3_are_accepted_and_1_1_is_not() {
    let stack = stack::shared();
    for (port, starttls) in [(25, true), (587, true), (465, false), (993, false)] {
        for (version, wanted) in [
            (SslVersion::TLS1, false),
            (SslVersion::TLS1_1, false),
            (SslVersion::TLS1_2, true),
            (SslVersion::TLS1_3, true),
        ] {
            assert_eq!(accepts_tls(stack.address(port), starttls, version), wanted, "port {port}, {version:?}");
        }
    }
}

#[test]
fn a_renewed_certificate_is_served_without_a_restart() {
    // Other tests trust the certificate in the file.
    let stack = stack::exclusive();
    let started =
        || ["postfix", "dovecot"].map(|service| engine::inspect(&stack.container(service), "{{.State.StartedAt}}"));
    let before = started();
    let mailbox = stack.mailbox(ALICE);
    let renewed = Project::with_shared_cache();
    renewed.run(["init", DOMAIN]);
    renewed.run(["secrets", "init"]);
    for file in ["privkey.pem", "fullchain.pem"] {
        stack.project.write(format!("secrets/tls/{file}"), renewed.read(format!("secrets/tls/{file}")));
    }
    // Who reads mail goes on.
    let ended = mailbox.ends_with(|| {
        for (port, starttls) in [(25, true), (587, true), (465, false), (993, false)] {
            wait_for(&format!("the new certificate on port {port}"), Duration::from_secs(90), || {
                (certificate(stack.address(port), starttls) == stack.certificate()).then_some(())
            });
        }
    });
    assert!(!ended, "a session ended with the old certificate");
    assert_eq!(started(), before);
    assert!(stack.mailbox(ALICE).can_login());
}
