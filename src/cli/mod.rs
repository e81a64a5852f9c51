//! Arguments, progress and errors. One file per command, and no logic.

mod alias;
mod apk;
mod bars;
mod build;
mod channel;
mod completions;
mod compose;
mod config;
mod context;
mod digest;
mod dkim;
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
mod push;
mod repo;
mod secrets;
mod store;
mod tree;
mod ui;
mod user;
mod why;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

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
    Build(build::Args),
    Load(load::Args),
    /// Push built images to a registry
    Push(push::Args),
    Compose(compose::Args),
    /// Manage users of the running mail server
    #[command(subcommand)]
    User(user::Command),
    /// Manage aliases of the running mail server
    #[command(subcommand)]
    Alias(alias::Command),
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
}

/// Runs the program on the process's own arguments and returns its exit code.
#[must_use]
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let context = Context::new(&cli.global);
    match dispatch(cli.command, &context) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            context.ui().failure(&failure);
            failure.code().into()
        }
    }
}

fn dispatch(command: Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::Apk(command) => apk::run(&command, context),
        Command::Repo(command) => repo::run(&command, context),
        Command::Init(args) => init::run(&args, context),
        Command::Secrets(command) => secrets::run(&command, context),
        Command::Compose(args) => compose::run(&args, context),
        Command::User(command) => user::run(&command, context),
        Command::Alias(command) => alias::run(&command, context),
        Command::Dkim(args) => dkim::run(&args, context),
        Command::Config(command) => config::run(&command, context),
        Command::Lock(args) => lock::run(&args, context),
        Command::Build(args) => build::run(&args, context),
        Command::Load(args) => load::run(&args, context),
        Command::Push(args) => push::run(&args, context),
        Command::Why(args) => why::run(&args, context),
        Command::Tree(args) => tree::run(&args, context),
        Command::Layers(args) => layers::run(&args, context),
        Command::Digest(args) => digest::run(&args, context),
        Command::Store(command) => store::run(&command, context),
        Command::Completions(args) => completions::run(&args, context),
    }
}
