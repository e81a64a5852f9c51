use camino::{Utf8Path, Utf8PathBuf};

use super::{Context, Failure};
use crate::debian::{self, Mapping, Request, Source};
use crate::packages::imported_repository;

/// Makes a signed apk repository out of Debian packages.
///
/// Packages come from the mirror that this machine's apt is set up with, in a private apt root: the machine's own suite
/// does not matter, and nothing on it changes. Debian's keys vouch for all of them. What is imported, and what becomes of
/// maintainer scripts, says import.toml in the channel's folder. A second run downloads and makes only what has changed.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Debian's name of the release
    #[arg(long, default_value = "trixie")]
    suite: String,
    /// The repository's directory; its private key is kept beside it, in DIR.key [default: where `mailimg lock` looks
    /// for it: the channel's name under the cache directory]
    #[arg(long, value_name = "DIR")]
    out: Option<Utf8PathBuf>,
    /// Debian's name of the architecture: amd64 or arm64 [default: this machine's]
    #[arg(long)]
    arch: Option<String>,
    /// Take the suite and its updates from this mirror, and nothing from those that apt is set up with
    #[arg(long, value_name = "URL")]
    mirror: Option<String>,
    /// Take security updates from this mirror; with --mirror there are none without it
    #[arg(long, value_name = "URL")]
    security_mirror: Option<String>,
    /// Keys that vouch for the packages [default: Debian's, from the package debian-archive-keyring]
    #[arg(long, value_name = "FILE")]
    keyring: Option<Utf8PathBuf>,
    /// Use what was downloaded before, and nothing else
    #[arg(long)]
    offline: bool,
    /// What to import [default: apk-locks/*/import.toml of the project, that for the suite]
    #[arg(long, value_name = "FILE")]
    mapping: Option<Utf8PathBuf>,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let file = match &args.mapping {
        Some(file) => file.clone(),
        None => Mapping::find(&context.project().join("apk-locks"), &args.suite)?,
    };
    let mapping = Mapping::open(&file)?;
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
    context.ui().status(format!("{} packages, {megabytes} MB, {made} of them new, in {out}", packages.len()));
    context.ui().status(format!("signed by {key}"));
    context.ui().line(out)
}

fn host_arch() -> &'static str {
    if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" }
}
