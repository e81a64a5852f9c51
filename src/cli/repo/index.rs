use camino::{Utf8Path, Utf8PathBuf};

use crate::cli::ui::is_standard_output;
use crate::cli::{Context, Failure};
use crate::repo::{self, RepoError};
use crate::store::write_output;

/// Write the index of a directory of packages.
///
/// Reads every package to its end, and lists it as apk expects. Each file must be named NAME-VERSION.apk.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  mailimg repo index --key keys/ops@example.org-1.rsa packages/x86_64")]
pub(in crate::cli) struct Args {
    /// A directory of packages, or package files
    #[arg(required = true, value_name = "DIR_OR_FILE")]
    paths: Vec<Utf8PathBuf>,
    /// The private key to sign the index with (see `mailimg repo key`). Without it, the index is not signed
    #[arg(long, value_name = "FILE")]
    key: Option<Utf8PathBuf>,
    /// A one-line description of the repository, stored in the index
    #[arg(long, value_name = "TEXT", default_value = "")]
    description: String,
    /// The repository's architecture; required if all packages are noarch
    #[arg(long)]
    arch: Option<String>,
    /// The index file to write [default: APKINDEX.tar.gz next to the packages]
    #[arg(long, short, value_name = "FILE")]
    output: Option<Utf8PathBuf>,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let mut files = Vec::new();
    for path in &args.paths {
        if path.is_dir() {
            files.extend(repo::packages_in(path)?);
        } else {
            files.push(path.clone());
        }
    }
    let key = args.key.as_deref().map(repo::read_signing_key).transpose()?;
    let index = repo::index(&files, &args.description, args.arch.as_deref())?;
    let directory = files.first().and_then(|file| file.parent()).unwrap_or(Utf8Path::new("."));
    let output = args.output.clone().unwrap_or_else(|| directory.join("APKINDEX.tar.gz"));
    let bytes = index.write(key.as_ref()).map_err(|source| RepoError::Index { path: output.clone(), source })?;
    if args.output.as_deref().is_some_and(is_standard_output) {
        return context.ui().write_file(&bytes);
    }
    write_output(&output, bytes, 0o644)?;
    let signed = key.as_ref().map_or("not signed".to_owned(), |key| format!("signed by {}", key.name()));
    context.ui().status(format!("{} packages, {signed}", index.packages.len()));
    context.ui().line(output)
}
