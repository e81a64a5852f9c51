//! `mailimg user` and `mailimg alias` on the running server.

use crate::common::smtp::Smtp;
use crate::stack::{self, ALICE, BOB, DOMAIN, Stack, deliver, mark, new_address};

#[test]
fn a_user_comes_changes_the_password_and_goes() {
    let stack = stack::shared();
    let carol = new_address("carol");
    stack.mailimg(&["user", "add", &carol, "--quota", "5M", "--password-stdin"], "first-Password\n");
    assert!(stack.mailbox((&carol, "first-Password")).can_login());

    let users = stack.json(&["user", "list"]);
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
    stack.mailimg(&["user", "del", &carol, "--purge", "--yes"], "");
    assert!(!stack.mailbox((&carol, "second-Password")).can_login());
    let home = stack::home(&carol);
    let script = format!("[ ! -e {home} ] && [ -e /srv/mail/{DOMAIN} ]");
    stack.compose(&["exec", "-T", "--user", "vmail", "dovecot", "sh", "-c", &script]);
}

#[test]
fn an_alias_sends_mail_on_until_it_is_deleted() {
    let stack = stack::shared();
    let team = new_address("team");
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

/// One user in `user list --usage`.
fn user(stack: &Stack, address: &str) -> serde_json::Value {
    let users = stack.json(&["user", "list", "--usage"]);
    users.as_array().unwrap().iter().find(|user| user["address"] == address).cloned().unwrap_or_default()
}

#[test]
fn a_user_is_turned_off_and_on_and_has_a_size() {
    let stack = stack::shared();
    let (frank, password) = stack.new_user("frank");
    let login = (frank.as_str(), password);
    assert_eq!(user(&stack, &frank)["messages"], 0);
    let kept = mark("kept");
    deliver(&stack, &frank, &kept);
    stack.mailbox(login).wait_for_message(&kept);
    let before = user(&stack, &frank);
    assert!(before["messages"] == 1 && before["used"].as_u64() >= Some(1024), "{before}");

    stack.mailimg(&["user", "set", &frank, "--inactive", "--quota", "7M"], "");
    let off = user(&stack, &frank);
    assert!(off["active"] == false && off["quota"] == 7 << 20 && off.get("used").is_none(), "{off}");
    assert!(!stack.mailbox(login).can_login());
    let mut smtp = Smtp::open(stack.address(25));
    smtp.expect("MAIL FROM:<someone@outside.test>", 250);
    smtp.expect(&format!("RCPT TO:<{frank}>"), 550);
    stack.mailimg(&["user", "set", &frank, "--active"], "");
    assert!(stack.mailbox(login).find("INBOX", &kept).is_some());

    stack.mailimg(&["user", "del", &frank], "");
    let (_, _, said) = stack.try_mailimg(&["user", "add", &frank, "--password-stdin"], login.1);
    assert!(said.contains("takes over the mailbox of an earlier user"), "{said}");
    let (succeeded, _, said) = stack.try_mailimg(&["user", "add", &frank, "--password-stdin"], login.1);
    assert!(!succeeded && said.contains("already exists"), "{said}");
    stack.mailimg(&["user", "del", &frank, "--purge", "--yes"], "");
    let (_, _, said) = stack.try_mailimg(&["user", "add", &frank, "--password-stdin"], login.1);
    assert!(said.contains("added") && !said.contains("warning:"), "{said}");
    stack.mailimg(&["user", "del", &frank, "--purge", "--yes"], "");
}

/// Whoever has the old password must not stay connected.
#[test]
fn a_new_password_ends_open_sessions() {
    let stack = stack::shared();
    let (grace, password) = stack.new_user("grace");
    let ended = stack.mailbox((&grace, password)).ends_with(|| {
        stack.mailimg(&["user", "passwd", &grace, "--password-stdin"], "grace-Password-8");
    });
    assert!(ended, "the session went on");
    stack.mailimg(&["user", "del", &grace, "--purge", "--yes"], "");
}

#[test]
fn an_alias_comes_before_the_user_of_its_name() {
    let stack = stack::shared();
    let (heidi, password) = stack.new_user("heidi");
    let login = (heidi.as_str(), password);
    let (_, _, said) = stack.try_mailimg(&["alias", "add", &heidi, BOB.0], "");
    assert!(said.contains(&format!("the user {heidi} no longer gets this mail")), "{said}");
    let forwarded = mark("forwarded");
    deliver(&stack, &heidi, &forwarded);
    stack.mailbox(BOB).wait_for_message(&forwarded);
    stack.mailimg(&["alias", "add", &heidi, &heidi], "");
    let copied = mark("copied");
    deliver(&stack, &heidi, &copied);
    stack.mailbox(BOB).wait_for_message(&copied);
    stack.mailbox(login).wait_for_message(&copied);
    assert!(stack.mailbox(login).find("INBOX", &forwarded).is_none());

    let (succeeded, _, said) = stack.try_mailimg(&["alias", "add", &format!("i@{DOMAIN}"), &format!("i@{DOMAIN}")], "");
    assert!(!succeeded && said.contains("mail would go in circles"), "{said}");
    let (succeeded, _, said) = stack.try_mailimg(&["alias", "add", &format!("i@{DOMAIN}"), &format!("j@{DOMAIN}")], "");
    assert!(succeeded && said.contains(&format!("nobody receives mail for j@{DOMAIN}")), "{said}");
    stack.mailimg(&["alias", "del", &format!("i@{DOMAIN}")], "");
    stack.mailimg(&["alias", "del", &heidi], "");
    stack.mailimg(&["user", "del", &heidi, "--purge", "--yes"], "");
}
