use std::io::{self, IsTerminal as _};

use super::exit::Exit;
use super::{Context, Failure};

/// Asks on the terminal before something is destroyed. Anything but `y` or `yes` is a no, which ends the command.
pub(super) fn confirm(question: &str, context: &Context) -> Result<(), Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::told(Exit::Usage, "there is no terminal to ask for confirmation")
            .hint("confirm with --yes; nothing was changed"));
    }
    context.ui().ask(&format!("{question} [y/N]"))?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Failure::told(Exit::No, "not confirmed; nothing was changed")),
    }
}
