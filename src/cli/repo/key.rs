use camino::Utf8PathBuf;

use crate::cli::{Context, Failure};
use crate::repo;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// What the key is called, for example your address and a number: ops@example.org-1
    #[arg(long)]
    name: String,
    /// Where NAME.rsa (private) and NAME.rsa.pub are written
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: Utf8PathBuf,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let pair = repo::make_key_pair(&args.out, &args.name)?;
    let ui = context.ui();
    ui.line(format!("{}\n{}", pair.private, pair.public))?;
    ui.status(format!(
        "keep {} secret; give {} to whoever installs from the repository\n\
         to trust it in a channel, put this line under [keys] in its channel.toml:\n\"{}.rsa.pub\" = \"{}\"",
        pair.private, pair.public, args.name, pair.fingerprint
    ));
    Ok(())
}
