//! Arguments, progress and errors. One file a command; no logic of its own.

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
mod progress;
mod push;
mod repo;
mod secrets;
mod steps;
mod store;
mod tree;
mod ui;
mod user;
mod why;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use context::{Context, GlobalArgs};
use failure::Failure;

/// Builds reproducible OCI images from pinned Alpine packages, and the mail server made of them.
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
    /// Make a new project for a mail domain
    Init(init::Args),
    /// Passwords, keys and certificates
    #[command(subcommand)]
    Secrets(secrets::Command),
    /// What is written in mailimg.toml, recipes and templates
    #[command(subcommand)]
    Config(config::Command),
    /// Pin the packages of images: write or update their locks
    Lock(lock::Args),
    /// Build images from their locks into an OCI layout
    Build(build::Args),
    Load(load::Args),
    /// Put built images into a registry
    Push(push::Args),
    /// Write the compose file that runs the built images
    Compose(compose::Args),
    /// Users of the running mail server
    #[command(subcommand)]
    User(user::Command),
    /// Aliases of the running mail server
    #[command(subcommand)]
    Alias(alias::Command),
    /// Make DKIM keys that are not there yet, and print the DNS records that publish them
    Dkim(dkim::Args),
    /// Why a package is in an image: the chains of dependencies that lead to it
    Why(why::Args),
    /// What an image is made of, as a tree of dependencies
    Tree(tree::Args),
    /// What each layer of an image is, and which images share it
    Layers(layers::Args),
    /// Print the digests that images have when they are built
    Digest(digest::Args),
    /// Make repositories: keys, indexes, signatures
    #[command(subcommand)]
    Repo(repo::Command),
    /// Ask what apk would do, and look into packages
    #[command(subcommand)]
    Apk(apk::Command),
    /// Where packages and layers are kept on this machine
    #[command(subcommand)]
    Store(store::Command),
    /// Print a shell's completion script
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
