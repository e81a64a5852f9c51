//! What shells complete beside commands and options: names from the project and its running site.

use std::sync::mpsc::channel;
use std::time::Duration;

use camino::Utf8PathBuf;
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};

use crate::config::{Project, channels as known_channels};
use crate::engine::Stack;
use crate::mail::accounts::Accounts;

/// How long a user who presses Tab waits for a server that doesn't answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// The images of the project, which are also its services.
pub(super) fn images() -> ArgValueCandidates {
    candidates(|| Some(Project::open(&project()).ok()?.recipes().map(|recipe| recipe.name.clone()).collect()))
}

pub(super) fn channels() -> ArgValueCandidates {
    candidates(|| Some(known_channels(&project())))
}

pub(super) fn domains() -> ArgValueCandidates {
    candidates(|| {
        let project = Project::open(&project()).ok()?;
        Some(project.domains("completion").ok()?.iter().map(ToString::to_string).collect())
    })
}

/// The users of the running site, if it answers at once.
pub(super) fn users() -> ArgValueCandidates {
    candidates(|| {
        let (sender, receiver) = channel();
        std::thread::Builder::new().spawn(move || sender.send(running_users())).ok()?;
        receiver.recv_timeout(PATIENCE).ok()?
    })
}

fn running_users() -> Option<Vec<String>> {
    let (directory, engine) = (project(), given(&["--engine"]).or_else(|| std::env::var("MAILIMG_ENGINE").ok()));
    let stack = Stack::open(&directory, engine.as_deref()).ok()?;
    let users = Accounts::new(stack, Project::open(&directory).ok()?).users().ok()?;
    Some(users.into_iter().map(|user| user.address).collect())
}

/// Nobody can be told why there are no names.
fn candidates(names: impl Fn() -> Option<Vec<String>> + Send + Sync + 'static) -> ArgValueCandidates {
    ArgValueCandidates::new(move || {
        names().unwrap_or_default().into_iter().map(CompletionCandidate::new).collect::<Vec<_>>()
    })
}

/// The project directory in the command that is being completed.
fn project() -> Utf8PathBuf {
    given(&["-C", "--project"]).unwrap_or_else(|| ".".to_owned()).into()
}

/// The value that the command gives to an option: the shell passes all of its words.
fn given(names: &[&str]) -> Option<String> {
    value(std::env::args_os().filter_map(|word| word.into_string().ok()), names)
}

fn value(mut words: impl Iterator<Item = String>, names: &[&str]) -> Option<String> {
    while let Some(word) = words.next() {
        if names.contains(&word.as_str()) {
            return words.next();
        }
        let joined = names.iter().find_map(|name| word.strip_prefix(name)?.strip_prefix('='));
        if let Some(value) = joined {
            return Some(value.to_owned());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_the_unfinished_command_are_found() {
        let value = |line: &str| value(line.split(' ').map(str::to_owned), &["-C", "--project"]);
        assert_eq!(value("mailimg -- mailimg -C a/b build ").as_deref(), Some("a/b"));
        assert_eq!(value("mailimg -- mailimg build --project=c").as_deref(), Some("c"));
        assert_eq!(value("mailimg -- mailimg build --projects d -Cd"), None);
        assert_eq!(value("mailimg -- mailimg build -C"), None);
    }
}
