use std::io;

use clap_complete::Shell;
use clap_complete::env::Shells;

use super::{Context, Failure};

/// The variable in which a shell asks `mailimg` itself what may come next.
pub(super) const VARIABLE: &str = "MAILIMG_COMPLETE";

const BASH: &str = include_str!("mailimg.bash");

/// Print a completion script for a shell.
///
/// The script asks mailimg itself, which must be in the PATH, and so also completes the project's images and channels, and
/// the users of the running server if that answers at once.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  mailimg completions bash >~/.local/share/bash-completion/completions/mailimg
  mailimg completions zsh >\"${fpath[1]}/_mailimg\"")]
pub(super) struct Args {
    /// The shell to complete for
    shell: Shell,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let shells = Shells::builtins();
    let shell = shells.completer(&args.shell.to_string()).ok_or_else(|| io::Error::from(io::ErrorKind::Unsupported))?;
    let mut script = Vec::new();
    shell.write_registration(VARIABLE, "mailimg", "mailimg", "mailimg", &mut script)?;
    if args.shell == Shell::Bash {
        script.extend_from_slice(BASH.as_bytes());
    }
    context.ui().write_file(&script)
}
