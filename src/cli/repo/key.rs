use camino::Utf8PathBuf;

use crate::cli::{Context, Failure};
use crate::repo;

/// Create a key pair for signing packages and indexes.
///
/// Never changes an existing key. If only the public key is missing, it is made from the private one.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  mailimg repo key --name ops@example.org-1 --out keys")]
pub(in crate::cli) struct Args {
    /// The name of the key, for example your address and a number: ops@example.org-1
    #[arg(long)]
    name: String,
    /// The directory for NAME.rsa (private) and NAME.rsa.pub
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: Utf8PathBuf,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let pair = repo::make_key_pair(&args.out, &args.name)?;
    let ui = context.ui();
    ui.line(&pair.private)?;
    ui.line(&pair.public)?;
    ui.status(format!(
        "keep {} secret; give {} to everyone who installs from the repository\n to trust it in a channel, add this \
         line under [keys] in its channel.toml:\n\"{}.rsa.pub\" = \"{}\"",
        pair.private, pair.public, args.name, pair.fingerprint
    ));
    Ok(())
}
