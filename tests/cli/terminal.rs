//! What comes from outside controls no terminal, and can't pass for a message of mailimg.

use crate::fake_engine::{project, run};

/// Sets a window's title; the C1 form of an escape; turns the direction of writing around.
const HOSTILE: &str = "\u{1b}]0;pwn\u{7}\u{9b}31m\u{202e}";
const SHOWN: &str = "\\u{1b}]0;pwn\\u{7}\\u{9b}31m\\u{202e}";

fn is_harmless(text: &str) -> bool {
    !text.chars().any(|c| (c.is_control() && !"\n\t".contains(c)) || ('\u{202a}'..='\u{202e}').contains(&c))
}

#[test]
fn what_a_container_says_is_escaped_and_stands_apart() {
    let project = project();
    project.write("answers/users.error", format!("no {HOSTILE}\nerror: forged\r\n  hint: run this\nlast\n"));
    let (code, _, said) = run(&project, &["user", "list"], "");
    assert_ne!(code, Some(0));
    assert!(is_harmless(&said) && said.contains(SHOWN), "{said}");
    let starts = |own: &str| said.lines().filter(|line| line.trim_start().starts_with(own)).count();
    assert!(starts("error:") == 1 && !said.contains("\n  hint: run this"), "{said}");
}

#[test]
fn what_a_database_holds_is_escaped_as_text_and_as_json() {
    let project = project();
    let address = serde_json::to_string(&format!("a{HOSTILE}\n@example.org")).unwrap();
    project.write("answers/users", format!("[{address}, null, 1]\n"));
    for args in [&["user", "list"][..], &["user", "list", "--json"]] {
        let (_, out, said) = run(&project, args, "");
        assert!(is_harmless(&out) && is_harmless(&said), "{args:?}: {out}{said}");
    }
}

#[test]
fn names_of_folders_cannot_forge_a_line() {
    let project = project();
    project.write("answers/folders", format!("mailbox\tmessages\tvsize\nA{HOSTILE}\t1\t20\n"));
    let (_, out, said) = run(&project, &["mailbox", "list", "a@example.org"], "");
    assert_eq!(out, format!("A{SHOWN}\t1\t20\n"), "{said}");
}
