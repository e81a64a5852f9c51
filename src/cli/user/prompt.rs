use std::io::{self, IsTerminal as _, Read as _};

use super::Failure;
use crate::cli::exit::Exit;

/// Passwords are far shorter; a file passed by mistake is not read to its end.
const MOST: u64 = 4096;

/// Reads a password from the terminal, twice, or from the first line of standard input.
pub(super) fn password(from_stdin: bool) -> Result<String, Failure> {
    if from_stdin {
        let mut text = String::new();
        io::stdin().lock().take(MOST).read_to_string(&mut text)?;
        return Ok(text.lines().next().unwrap_or_default().to_owned());
    }
    if !io::stdin().is_terminal() {
        return Err(Failure::told(Exit::Usage, "there is no terminal to prompt for the password")
            .hint("pass it on standard input with --password-stdin"));
    }
    let first = rpassword::prompt_password("Password: ")?;
    if rpassword::prompt_password("Again: ")? != first {
        return Err(Failure::told(Exit::Usage, "the two passwords differ"));
    }
    Ok(first)
}
