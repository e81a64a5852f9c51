//! `mailimg user` and `mailimg alias` on the running server.

use crate::stack::{self, ALICE, BOB, DOMAIN, deliver, mark};

#[test]
fn a_user_comes_changes_the_password_and_goes() {
    let stack = stack::shared();
    let carol = format!("carol@{DOMAIN}");
    stack.mailimg(&["user", "add", &carol, "--quota", "5M", "--password-stdin"], "first-Password\n");
    assert!(stack.mailbox((&carol, "first-Password")).can_login());

    let users: serde_json::Value = serde_json::from_str(&stack.mailimg(&["user", "list", "--json"], "")).unwrap();
    let addresses: Vec<&str> = users.as_array().unwrap().iter().filter_map(|user| user["address"].as_str()).collect();
    assert!(addresses.contains(&ALICE.0) && addresses.contains(&BOB.0), "{addresses:?}");
    let listed = users.as_array().unwrap().iter().find(|user| user["address"] == carol).unwrap();
    assert_eq!(listed["quota"], 5 << 20);

    stack.mailimg(&["user", "passwd", &carol, "--password-stdin"], "second-Password\n");
    assert!(!stack.mailbox((&carol, "first-Password")).can_login());
    assert!(stack.mailbox((&carol, "second-Password")).can_login());

    let mark = mark("purged");
    deliver(&stack, &carol, &mark);
    stack.mailbox((&carol, "second-Password")).wait_for_message(&mark);
    stack.mailimg(&["user", "del", &carol, "--purge"], "");
    assert!(!stack.mailbox((&carol, "second-Password")).can_login());
    let home = format!("/srv/mail/{DOMAIN}/carol");
    let script = format!("[ ! -e {home} ] && [ -e /srv/mail/{DOMAIN} ]");
    stack.compose(&["exec", "-T", "--user", "vmail", "dovecot", "sh", "-c", &script]);
}

#[test]
fn an_alias_sends_mail_on_until_it_is_deleted() {
    let stack = stack::shared();
    let team = format!("team@{DOMAIN}");
    stack.mailimg(&["alias", "add", &team, ALICE.0, BOB.0], "");
    let first = mark("to-both");
    deliver(&stack, &team, &first);
    stack.mailbox(ALICE).wait_for_message(&first);
    stack.mailbox(BOB).wait_for_message(&first);

    stack.mailimg(&["alias", "del", &team, BOB.0], "");
    assert_eq!(
        stack.mailimg(&["alias", "list"], "").lines().filter(|line| line.starts_with(&team)).collect::<Vec<_>>(),
        [format!("{team}\t{}", ALICE.0)]
    );
    stack.mailimg(&["alias", "del", &team], "");
    assert!(!stack.mailimg(&["alias", "list"], "").contains(&team));
}
