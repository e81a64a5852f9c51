use camino::Utf8PathBuf;

use crate::cli::{Context, Failure};
use crate::repo;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Private key to sign with (see `mailimg repo key`)
    #[arg(long, value_name = "FILE")]
    key: Utf8PathBuf,
    /// Packages (.apk) and indexes (APKINDEX.tar.gz); the index of a folder lists its packages as they are, so sign them first
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
