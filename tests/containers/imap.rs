//! Reading mail.

use crate::common::engine;
use crate::stack::{self, ALICE, DOMAIN};

#[test]
fn folders_are_there_from_the_start() {
    let stack = stack::shared();
    let folders = stack.mailbox(ALICE).folders();
    for (folder, attribute) in [("Drafts", "Drafts"), ("Sent", "Sent"), ("Junk", "Junk"), ("Trash", "Trash")] {
        let found = folders.iter().any(|line| line.starts_with(folder) && line.contains(attribute));
        assert!(found, "{folder} with \\{attribute} in {folders:?}");
    }
}

#[test]
fn imap_without_tls_is_closed() {
    let stack = stack::shared();
    let container = stack.container("dovecot");
    let ports = engine::inspect(&container, "{{json .NetworkSettings.Ports}}");
    assert!(ports.contains("993/tcp") && !ports.contains("143/tcp"), "{ports}");
    // The kernel's list of sockets: state 0A listens; 008F is 143, 03E1 is 993.
    let (_, sockets) = engine::exec(&container, &["cat", "/proc/net/tcp", "/proc/net/tcp6"]);
    let listens = |port: &str| {
        sockets
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>())
            .any(|fields| fields.get(1).is_some_and(|local| local.ends_with(port)) && fields.get(3) == Some(&"0A"))
    };
    assert!(listens(":03E1"), "{sockets}");
    assert!(!listens(":008F"), "{sockets}");
}

#[test]
fn wrong_passwords_and_unknown_users_can_not_log_in() {
    let stack = stack::shared();
    assert!(stack.mailbox(ALICE).can_login());
    assert!(!stack.mailbox((ALICE.0, "wrong")).can_login());
    assert!(!stack.mailbox((&format!("nobody@{DOMAIN}"), "wrong")).can_login());
}
