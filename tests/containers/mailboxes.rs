//! `mailimg mailbox` on the running server.

use crate::common::imap::Mailbox;
use crate::stack::{self, Stack, deliver, mark};

/// Mails in a folder, and their size.
fn folder(stack: &Stack, user: &str, name: &str) -> (u64, u64) {
    let folders = stack.json(&["mailbox", "list", user]);
    let folder = folders.as_array().unwrap().iter().find(|folder| folder["name"] == name).unwrap();
    (folder["messages"].as_u64().unwrap(), folder["size"].as_u64().unwrap())
}

fn dovecot(stack: &Stack, command: &str) -> String {
    stack.compose(&["exec", "-T", "--user", "vmail", "dovecot", "sh", "-c", command])
}

#[test]
fn old_mail_is_deleted_from_a_folder() {
    let stack = stack::shared();
    let (user, password) = stack.new_user("expunge");
    let (old, new) = (mark("old"), mark("new"));
    deliver(&stack, &user, &old);
    let mailbox: Mailbox = stack.mailbox((&user, password));
    mailbox.wait_for_message(&old);
    // A folder with a space, below another, with both.
    let name = "Old things/ästhetisch (1)";
    stack.compose(&["exec", "-T", "dovecot", "doveadm", "mailbox", "create", "-u", &user, name]);
    let copy = ["doveadm", "copy", "-u", &user, name, "mailbox", "INBOX", "ALL"];
    stack.compose(&[["exec", "-T", "dovecot"].as_slice(), &copy].concat());
    let (mails, size) = folder(&stack, &user, name);
    assert!(mails == 1 && size > 100, "{mails} {size}");

    let expunge = |folder: &str, age: &str| {
        stack.json(&["mailbox", "expunge", &user, folder, "--older-than", age, "--yes"])["deleted"].as_u64().unwrap()
    };
    assert_eq!((expunge(name, "1h"), expunge(name, "12000d")), (0, 0));
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert_eq!((expunge(name, "1s"), folder(&stack, &user, name).0), (1, 0));
    assert_eq!(expunge(name, "1s"), 0);
    assert!(mailbox.find("INBOX", &old).is_some());

    // Neither folders that aren't there nor users.
    for (user, folder, told) in
        [(user.as_str(), "Old*", "has no folder"), ("nobody-at-all@example.test", "INBOX", "there is no active user")]
    {
        let (succeeded, _, said) =
            stack.try_mailimg(&["mailbox", "expunge", user, folder, "--older-than", "1s", "--yes"], "");
        assert!(!succeeded && said.contains(told), "{said}");
    }
    deliver(&stack, &user, &new);
    mailbox.wait_for_message(&new);
    stack.mailimg(&["user", "set", &user, "--inactive"], "");
    let (succeeded, _, said) = stack.try_mailimg(&["mailbox", "list", &user], "");
    assert!(!succeeded && said.contains("there is no active user"), "{said}");
}

#[test]
fn a_mailbox_is_repaired_after_its_files_were_changed() {
    let stack = stack::shared();
    let (user, password) = stack.new_user("repair");
    let (kept, lost) = (mark("kept"), mark("lost"));
    let mailbox = stack.mailbox((&user, password));
    for mark in [&kept, &lost] {
        deliver(&stack, &user, mark);
        mailbox.wait_for_message(mark);
    }
    let inbox = format!("{}/Maildir", stack::home(&user));
    // The index of one that is damaged, and a file that is gone.
    dovecot(&stack, &format!("rm -- $(grep -l {lost} {inbox}/cur/* {inbox}/new/* 2>/dev/null)"));
    dovecot(&stack, &format!("head -c 4096 /dev/urandom >{inbox}/dovecot.index"));
    let (succeeded, _, said) = stack.try_mailimg(&["mailbox", "repair", &user], "");
    assert!(succeeded && said == format!("repaired the mailbox of {user}\n"), "{said}");
    assert_eq!(folder(&stack, &user, "INBOX").0, 1);
    assert!(mailbox.find("INBOX", &kept).is_some() && mailbox.find("INBOX", &lost).is_none());
    let users = stack.json(&["user", "list", "--usage"]);
    let listed = users.as_array().unwrap().iter().find(|listed| listed["address"] == user.as_str()).unwrap();
    assert_eq!(listed["messages"], 1, "{listed}");
}
