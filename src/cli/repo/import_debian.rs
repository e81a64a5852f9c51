use camino::{Utf8Path, Utf8PathBuf};

use super::{Context, Failure};
use crate::config::Files;
use crate::debian::{self, Mapping, Request, Source};
use crate::packages::imported_repository;

/// Convert Debian packages into a signed apk repository.
///
/// Downloads packages from the mirror that this machine's apt uses, with private apt directories: the machine's own
/// suite doesn't matter, and nothing on the machine changes. apt verifies the packages with Debian's keys. import.toml
/// in the channel's folder lists what to import and what replaces maintainer scripts. A second run downloads and
/// converts only what has changed.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  mailimg repo import-debian                      for the channel debian-13
  mailimg repo import-debian --mirror http://debian.example.org/debian --security-mirror \
http://debian.example.org/debian-security")]
pub(in crate::cli) struct Args {
    /// Debian's name for the release
    #[arg(long, default_value = "trixie")]
    suite: String,
    /// The repository's directory; its private key is DIR.key, next to it [default: the channel's name in the cache
    /// directory, where `mailimg lock` looks for it]
    #[arg(long, value_name = "DIR")]
    out: Option<Utf8PathBuf>,
    /// The architecture, as Debian names it: amd64 or arm64 [default: this machine's]
    #[arg(long)]
    arch: Option<String>,
    /// Use this mirror for the suite and its updates, instead of those in apt's configuration
    #[arg(long, value_name = "URL")]
    mirror: Option<String>,
    /// Use this mirror for security updates. If only --mirror is given, there are none
    #[arg(long, value_name = "URL")]
    security_mirror: Option<String>,
    /// The keys to verify packages with [default: Debian's, from the package debian-archive-keyring]
    #[arg(long, value_name = "FILE")]
    keyring: Option<Utf8PathBuf>,
    /// Use only what was downloaded before
    #[arg(long)]
    offline: bool,
    /// The file that lists what to import [default: the project's apk-locks/*/import.toml for the suite]
    #[arg(long, value_name = "FILE")]
    mapping: Option<Utf8PathBuf>,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let (files, file) = if let Some(file) = &args.mapping {
        let file = Utf8Path::new(".").join(file);
        (Files::open(file.parent().unwrap_or(&file))?, file)
    } else {
        let files = Files::open(context.project())?;
        let file = Mapping::find(&files, &args.suite)?;
        (files, file)
    };
    let mapping = Mapping::open(&files, &file)?;
    let cache = context.cache_dir()?;
    let channel = file.parent().and_then(Utf8Path::file_name).unwrap_or(&args.suite);
    let out = args.out.clone().unwrap_or_else(|| imported_repository(&cache, channel));
    let keyring = args.keyring.as_deref().map(camino::absolute_utf8).transpose()?;
    let source = Source {
        suite: args.suite.clone(),
        arch: args.arch.clone().unwrap_or_else(|| host_arch().to_owned()),
        mirror: args.mirror.clone(),
        security_mirror: args.security_mirror.clone(),
        keyring,
        offline: args.offline,
    };
    let request = Request { mapping, source, out: out.clone(), cache: cache.join("debian") };

    let debian::Imported { packages, made, size, key } = debian::import(&request, context.ui())?;
    let megabytes = size / 1_000_000;
    context.ui().status(format!("{} packages ({made} new), {megabytes} MB, in {out}", packages.len()));
    context.ui().status(format!("signed by {key}"));
    context.ui().line(out)
}

fn host_arch() -> &'static str {
    if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" }
}
