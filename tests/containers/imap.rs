//! Reading mail.

use std::time::Duration;

use crate::common::imap::Mailbox;
use crate::common::{engine, wait_for};
use crate::load::memory;
use crate::stack::{self, ALICE, DOMAIN, deliver, mark, message};

#[test]
fn folders_are_there_from_the_start() {
    let stack = stack::shared();
    let folders = stack.mailbox(ALICE).folders();
    for folder in ["Drafts", "Sent", "Junk", "Trash", "Archive"] {
        let found = folders.iter().any(|line| line.strip_prefix(folder).is_some_and(|rest| rest.contains(folder)));
        assert!(found, "{folder} with \\{folder} in {folders:?}");
    }
}

#[test]
fn a_folder_can_be_called_like_a_domain() {
    let stack = stack::shared();
    let (owner, password) = stack.new_user("owner");
    let mailbox = stack.mailbox((&owner, password));
    for folder in ["example.com", "Customers/example.com", "~old", "Price^2"] {
        let mark = mark("kept");
        mailbox.keep(folder, &message(&owner, &owner, &mark));
        assert!(mailbox.find(folder, &mark).is_some(), "{folder}");
        assert!(mailbox.folders().iter().any(|line| line.starts_with(&format!("{folder} "))), "{folder}");
    }
    let (mark, script) = (mark("filed"), "require \"fileinto\";\nfileinto \"Customers/example.com\";\n");
    stack.install_script(&owner, script);
    deliver(&stack, &owner, &mark);
    wait_for("the mail in its folder", Duration::from_secs(30), || mailbox.find("Customers/example.com", &mark));
}

#[test]
fn one_user_can_have_fifteen_sessions_from_one_address() {
    let stack = stack::shared();
    let (owner, password) = stack.new_user("busy");
    let mailbox = stack.mailbox((&owner, password));
    assert_eq!(mailbox.with_sessions(20, || assert!(stack.mailbox(ALICE).can_login())), 15);
}

/// After a reload, sessions from before don't count any more, and the container has to have memory for both.
#[test]
fn sessions_before_and_after_a_reload_fit_into_the_containers_memory() {
    const AT_ONCE: usize = 36;
    let stack = stack::exclusive();
    let (container, before) = (stack.container("dovecot"), stack.started());
    let users: Vec<_> = (0..6).map(|_| stack.new_user("many")).collect();
    let mailboxes: Vec<_> = users.iter().map(|(user, password)| stack.mailbox((user, password))).collect();
    let open = |meanwhile: &(dyn Fn() + Sync)| open_all(&mailboxes, AT_ONCE / mailboxes.len(), meanwhile);
    open(&|| {
        engine::docker(["exec", &container, "doveadm", "reload"]);
        std::thread::sleep(Duration::from_secs(2));
        open(&|| {
            let used = memory(&container).unwrap();
            eprintln!("2 × {AT_ONCE} sessions: {used} % of the memory");
            assert!(used < 95, "{used}");
        });
    });
    assert_eq!(stack.started(), before, "a container was restarted");
}

/// Opens so many sessions of each user.
fn open_all(mailboxes: &[Mailbox], each: usize, meanwhile: &(dyn Fn() + Sync)) {
    match mailboxes.split_first() {
        None => meanwhile(),
        Some((mailbox, rest)) => {
            assert_eq!(mailbox.with_sessions(each, || open_all(rest, each, meanwhile)), each);
        }
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
