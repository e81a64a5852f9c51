use camino::Utf8PathBuf;

use crate::cli::{Context, Failure};
use crate::repo;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Packages (.apk) and indexes (APKINDEX.tar.gz)
    #[arg(required = true, value_name = "FILE")]
    files: Vec<Utf8PathBuf>,
    /// A directory with the public keys to trust, NAME.rsa.pub
    #[arg(long, value_name = "DIR", default_value = "/etc/apk/keys")]
    keys_dir: Utf8PathBuf,
}

/// Checks all files. The first failure determines the exit code, the others are warnings.
pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let keyring = repo::read_keyring(&args.keys_dir)?;
    let mut first = None;
    for file in &args.files {
        match repo::verify(file, &keyring) {
            Ok(verified) => context.ui().line(format!("{file}: signed by {}", verified.keys.join(", ")))?,
            Err(error) if first.is_none() => first = Some(Failure::from(error)),
            Err(error) => context.ui().warning(Failure::from(error).messages().join(": ")),
        }
    }
    first.map_or(Ok(()), Err)
}
