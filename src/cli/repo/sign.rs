use camino::Utf8PathBuf;

use crate::cli::{Context, Failure};
use crate::repo;

/// Sign packages and indexes, replacing existing signatures.
///
/// Files are changed in place. Signatures use RSA with SHA-256, which apk has read since version 2.8.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  mailimg repo sign --key keys/ops@example.org-1.rsa packages/x86_64/*.apk")]
pub(in crate::cli) struct Args {
    /// The private key to sign with (see `mailimg repo key`)
    #[arg(long, value_name = "FILE")]
    key: Utf8PathBuf,
    /// Packages (.apk) and indexes (APKINDEX.tar.gz). Sign packages before you index them: signing changes them
    #[arg(required = true, value_name = "FILE")]
    files: Vec<Utf8PathBuf>,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let key = repo::read_signing_key(&args.key)?;
    for file in &args.files {
        repo::sign(file, &key)?;
        context.ui().status(format!("{file}: signed by {}", key.name()));
    }
    Ok(())
}
