//! The examples in the documentation are what the commands print.

use std::time::Duration;

use lettre::Transport as _;
use lettre::transport::smtp::authentication::Mechanism;

use crate::common::project::Project;
use crate::common::wait_for;
use crate::stack::{self, ALICE, BOB, DEFERRED, DOMAIN, POSTMASTER, SECOND, Stack, deliver, mark};
use crate::submission::{client, mail};

/// A command of a page, and what the page says that it prints.
struct Example {
    arguments: Vec<String>,
    printed: Vec<String>,
}

/// A page of the documentation.
fn page(name: &str) -> String {
    fs_err::read_to_string(format!("{}/docs/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// The examples that call `mailimg`, up to a pipe or a comment.
fn examples(page: &str) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    for block in page.split("```console\n").skip(1).map(|rest| rest.split("```").next().unwrap()) {
        for line in block.lines() {
            if let Some(command) = line.strip_prefix("$ mailimg ") {
                let words = command.split(['|', '#']).next().unwrap().split_whitespace();
                examples.push(Example { arguments: words.map(str::to_owned).collect(), printed: Vec::new() });
            } else {
                examples.last_mut().unwrap().printed.push(line.to_owned());
            }
        }
    }
    examples
}

/// A line without what differs from run to run: numbers and times.
fn pattern(line: &str) -> String {
    // `mailimg test-mail` says how long a check took if it took long.
    let line =
        line.split_once(" s)").map_or(line, |(start, _)| start.rsplit_once(" (").map_or(line, |(start, _)| start));
    let word = |word: &str| {
        let is_id = word.len() >= 10 && word.chars().all(|it| it.is_ascii_hexdigit());
        let is_number = word.chars().all(|it| it.is_ascii_digit() || "-.:TZ".contains(it));
        if is_id || is_number { "0".to_owned() } else { word.to_owned() }
    };
    let words: Vec<String> = line.split_whitespace().map(word).collect();
    words.join(" ")
}

/// Whether a line is printed as the page has it, with `…` for anything.
fn matches(documented: &str, printed: &str) -> bool {
    let (documented, printed) = (pattern(documented), pattern(printed));
    let mut rest = printed.as_str();
    let mut parts = documented.split('…').map(str::trim).peekable();
    if let Some(start) = parts.next() {
        let Some(after) = rest.strip_prefix(start) else { return false };
        rest = after;
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    rest.is_empty()
}

/// What is wrong with an example, after running it. The page shows output and messages together, and `…` for lines that
/// it leaves out.
fn run(stack: &Stack, example: &Example) -> Option<String> {
    let mut arguments: Vec<&str> = example.arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["user", "add", user] => {
            stack.mailimg(&["user", "del", user, "--purge", "--yes"], "");
            arguments.push("--password-stdin");
        }
        // It has just been made.
        ["mailbox", "list", user] => {
            let mark = mark("listed");
            deliver(stack, user, &mark);
            stack.mailbox(ALICE).wait_for_message(&mark);
        }
        ["test-mail", ..] => arguments.extend(["--server", "127.0.0.1"]),
        _ => {}
    }
    let (_, out, said) = stack.try_mailimg(&arguments, &format!("{}\n", ALICE.1));
    compare(example, &out, &said)
}

/// Where the outputs differ from what the page shows, which is nothing if it leaves them out.
fn compare(Example { arguments, printed }: &Example, out: &str, said: &str) -> Option<String> {
    let (mut out, mut said) = (out.lines().peekable(), said.lines().peekable());
    let mut documented = printed.iter().peekable();
    while let Some(line) = documented.next() {
        if line == "…" {
            let after = documented.peek();
            while out.next_if(|next| after.is_none_or(|after| !matches(after, next))).is_some() {}
        } else if out.next_if(|next| matches(line, next)).is_none()
            && said.next_if(|next| matches(line, next)).is_none()
        {
            return Some(format!("{arguments:?}: not {line:?}, but {:?} or {:?}", out.next(), said.next()));
        }
    }
    let rest: Vec<&str> = out.chain(said).collect();
    (!printed.is_empty() && !rest.is_empty()).then(|| format!("{arguments:?}: also {rest:?}"))
}

/// Leaves only the users that every test expects.
fn tidy(stack: &Stack) {
    for user in stack.json(&["user", "list"]).as_array().unwrap() {
        let address = user["address"].as_str().unwrap();
        if ![ALICE.0, BOB.0, POSTMASTER.0].contains(&address) {
            stack.mailimg(&["user", "del", address], "");
        }
    }
    for alias in stack.json(&["alias", "list"]).as_array().unwrap() {
        let [source, destination] = ["source", "destination"].map(|key| alias[key].as_str().unwrap());
        stack.mailimg(&["alias", "del", source, destination], "");
    }
    stack.mailimg(&["queue", "delete", "--all", "--yes"], "");
}

#[test]
fn the_examples_of_administration_are_real() {
    let stack = stack::exclusive();
    tidy(&stack);
    let carol = format!("carol@{SECOND}");
    stack.add_user(&carol, ALICE.1);
    let recipient = format!("someone@{DEFERRED}");
    client(&stack, 587, Mechanism::Plain, ALICE).send(&mail(ALICE.0, &recipient, "waits")).unwrap();
    wait_for("the mail to be deferred", Duration::from_mins(1), || {
        let mails = stack.json(&["queue", "list"]);
        (mails[0]["queue"] == "deferred").then(|| mails[0]["id"].as_str().unwrap().to_owned())
    });
    let id = stack.json(&["queue", "list"])[0]["id"].as_str().unwrap().to_owned();
    stack.project.write("password", ALICE.1);

    let mut wrong = Vec::new();
    for mut example in examples(&page("administration.md")) {
        for argument in &mut example.arguments {
            if argument.len() >= 10 && argument.chars().all(|it| it.is_ascii_hexdigit()) {
                argument.clone_from(&id);
            }
        }
        wrong.extend(run(&stack, &example));
    }
    stack.mailimg(&["domain", "del", "example.net"], "");
    stack.mailimg(&["user", "set", BOB.0, "--active"], "");
    stack.mailimg(&["user", "set", ALICE.0, "--quota", "default"], "");
    tidy(&stack);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let mark = mark("after-the-examples");
    deliver(&stack, ALICE.0, &mark);
    stack.mailbox(ALICE).wait_for_message(&mark);
}

#[test]
fn the_examples_of_locks_and_layers_are_real() {
    let project = Project::with_shared_cache();
    project.run(["init", DOMAIN]);
    let mut wrong = Vec::new();
    let mut seen = 0;
    for example in ["lock.md", "images.md", "file-tree.md"].iter().flat_map(|name| examples(&page(name))) {
        let output = project.mailimg(&example.arguments).output().unwrap();
        let [out, said] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        let different = if output.status.success() { compare(&example, &out, &said) } else { Some(said) };
        wrong.extend(different.map(|what| format!("{:?}: {what}", example.arguments)));
        seen += 1;
    }
    assert!(wrong.is_empty() && seen > 8, "of {seen}:\n{}", wrong.join("\n"));
}
