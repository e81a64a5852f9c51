//! Arguments, progress and errors. One file per command, and no logic.

mod alias;
mod apk;
mod bars;
mod build;
mod channel;
mod complete;
mod completions;
mod compose;
mod config;
mod confirm;
mod context;
mod digest;
mod dkim;
mod domain;
mod down;
mod engine;
mod exit;
mod failure;
mod images;
mod init;
mod layers;
mod layout;
mod load;
mod lock;
mod locked;
mod log;
mod logs;
mod mailbox;
mod man;
mod password;
mod push;
mod queue;
mod repo;
mod secrets;
mod status;
mod store;
mod test_mail;
mod time;
mod tree;
mod ui;
mod up;
mod user;
mod why;

use std::process::ExitCode;

use clap::error::ContextValue;
use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::CompleteEnv;
use rustix::process::{Resource, Rlimit, setrlimit};

use crate::config::hide_credentials;
use crate::printable;
use context::{Context, GlobalArgs};
use failure::Failure;

/// Build reproducible OCI images from pinned Alpine packages, and a mail server from those images.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, after_help = exit::HELP)]
struct Cli {
    #[command(flatten)]
    global: GlobalArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Init(init::Args),
    /// Manage passwords, keys and certificates
    #[command(subcommand)]
    Secrets(secrets::Command),
    /// Check mailimg.toml, recipes and templates
    #[command(subcommand)]
    Config(config::Command),
    /// Pin the packages of images in lock files
    Lock(lock::Args),
    Up(up::Args),
    Status(status::Args),
    Down(down::Args),
    Build(build::Args),
    Load(load::Args),
    /// Push built images to a registry
    Push(push::Args),
    Compose(compose::Args),
    /// Manage the domains that the site receives mail for
    #[command(subcommand)]
    Domain(domain::Command),
    /// Manage users of the running mail server
    #[command(subcommand)]
    User(user::Command),
    /// Manage aliases of the running mail server
    #[command(subcommand)]
    Alias(alias::Command),
    /// See and manage what users' mailboxes contain
    #[command(subcommand)]
    Mailbox(mailbox::Command),
    /// See and manage mail that waits for delivery
    #[command(subcommand)]
    Queue(queue::Command),
    TestMail(test_mail::Args),
    Logs(logs::Args),
    Dkim(dkim::Args),
    Why(why::Args),
    Tree(tree::Args),
    Layers(layers::Args),
    Digest(digest::Args),
    /// Create repositories: keys, indexes, signatures
    #[command(subcommand)]
    Repo(repo::Command),
    /// Show what apk would do, and inspect packages
    #[command(subcommand)]
    Apk(apk::Command),
    /// Manage the local store of packages and layers
    #[command(subcommand)]
    Store(store::Command),
    Completions(completions::Args),
    Man(man::Args),
}

/// The most characters of an argument that an error repeats.
const LONGEST_SHOWN: usize = 80;

/// Runs the program on the process's own arguments and returns its exit code.
#[must_use]
pub fn run() -> ExitCode {
    forbid_core_dumps();
    CompleteEnv::with_factory(Cli::command).var(completions::VARIABLE).complete();
    let cli = Cli::try_parse().unwrap_or_else(|error| without_secrets(error).exit());
    let context = Context::new(&cli.global);
    match start_threads().and_then(|()| dispatch(cli.command, &context)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            context.ui().failure(&failure);
            failure.code().into()
        }
    }
}

/// A panic aborts the program, and a dump of its memory could contain secrets. What it runs inherits the limit.
fn forbid_core_dumps() {
    // Everybody may lower a limit.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
}

/// Starts the threads for parallel work now: when they are first needed, rayon panics if the system gives none.
fn start_threads() -> Result<(), Failure> {
    let started = rayon::ThreadPoolBuilder::new().build_global();
    started.map_err(|error| Failure::new(exit::Exit::System, &NoThreads(error.into())))
}

/// Starts a thread that ends at once, for libraries that panic if the system gives them none.
fn try_thread() -> std::io::Result<()> {
    let _ = std::thread::Builder::new().spawn(|| ())?.join();
    Ok(())
}

/// The system gives no threads.
#[derive(Debug, thiserror::Error)]
#[error("can't start threads")]
struct NoThreads(#[source] Box<dyn std::error::Error + Send + Sync>);

/// clap repeats what it was given, which may be long or contain a password.
fn without_secrets(mut error: clap::Error) -> clap::Error {
    let given = error.context().filter_map(|(kind, value)| match value {
        ContextValue::String(text) => Some((kind, shown(text))),
        _ => None,
    });
    for (kind, text) in given.collect::<Vec<_>>() {
        error.insert(kind, ContextValue::String(text));
    }
    error
}

fn shown(argument: &str) -> String {
    printable::cut(printable::field(&hide_credentials(argument)).into_owned(), LONGEST_SHOWN)
}

fn dispatch(command: Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::Apk(command) => apk::run(&command, context),
        Command::Repo(command) => repo::run(&command, context),
        Command::Init(args) => init::run(&args, context),
        Command::Secrets(command) => secrets::run(&command, context),
        Command::Compose(args) => compose::run(&args, context),
        Command::Domain(command) => domain::run(&command, context),
        Command::User(command) => user::run(&command, context),
        Command::Alias(command) => alias::run(&command, context),
        Command::Mailbox(command) => mailbox::run(&command, context),
        Command::Queue(command) => queue::run(&command, context),
        Command::TestMail(args) => test_mail::run(&args, context),
        Command::Logs(args) => logs::run(&args, context),
        Command::Dkim(args) => dkim::run(&args, context),
        Command::Config(command) => config::run(&command, context),
        Command::Lock(args) => lock::run(&args, context),
        Command::Up(args) => up::run(&args, context),
        Command::Status(args) => status::run(&args, context),
        Command::Down(args) => down::run(&args, context),
        Command::Build(args) => build::run(&args, context),
        Command::Load(args) => load::run(&args, context),
        Command::Push(args) => push::run(&args, context),
        Command::Why(args) => why::run(&args, context),
        Command::Tree(args) => tree::run(&args, context),
        Command::Layers(args) => layers::run(&args, context),
        Command::Digest(args) => digest::run(&args, context),
        Command::Store(command) => store::run(&command, context),
        Command::Completions(args) => completions::run(&args, context),
        Command::Man(args) => man::run(&args, context),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(arguments: &[&str]) -> String {
        let error = Cli::try_parse_from([&["mailimg"], arguments].concat()).unwrap_err();
        without_secrets(error).to_string()
    }

    #[test]
    fn errors_repeat_neither_passwords_nor_long_arguments() {
        let nameless = refused(&["lock", "--repository", "http://bob:secret@host/main"]);
        assert!(
            nameless.contains("'http://**********@host/main'") && nameless.contains("NAME=URL_OR_DIR"),
            "{nameless}"
        );
        let unexpected = refused(&["dkim", "http://bob:secret@host"]);
        assert!(!unexpected.contains("secret"), "{unexpected}");
        let long = refused(&["build", "--label", &format!("key={}", "x".repeat(5000))]);
        assert!(long.len() < 500 && long.contains("xxx…'") && long.contains("5003 bytes"), "{long}");
    }
}
