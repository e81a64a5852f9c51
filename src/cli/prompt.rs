use std::fs::File;
use std::io::{self, IsTerminal as _, Read};

use camino::Utf8PathBuf;

use super::Failure;
use super::exit::Exit;

/// Passwords are far shorter; a file passed by mistake is not read to its end.
const MOST: u64 = 4096;

/// Where a password comes from, if not from the terminal.
#[derive(Debug, clap::Args)]
#[group(multiple = false)]
pub(super) struct PasswordArgs {
    /// Read the password from the first line of standard input
    #[arg(long)]
    password_stdin: bool,
    /// Read the password from the first line of a file, or of a file descriptor: /dev/fd/3
    #[arg(long, value_name = "FILE")]
    password_file: Option<Utf8PathBuf>,
}

impl PasswordArgs {
    /// Reads the password; from a terminal, twice.
    pub(super) fn read(&self) -> Result<String, Failure> {
        if self.password_stdin {
            return Ok(first_line(io::stdin().lock())?);
        }
        if let Some(path) = &self.password_file {
            return File::open(path)
                .and_then(first_line)
                .map_err(|error| Failure::told(Exit::Usage, format!("can't read {path}: {error}")));
        }
        if !io::stdin().is_terminal() {
            return Err(Failure::told(Exit::Usage, "there is no terminal to prompt for the password")
                .hint("pass it on standard input with --password-stdin, or with --password-file"));
        }
        let first = rpassword::prompt_password("Password: ")?;
        if rpassword::prompt_password("Again: ")? != first {
            return Err(Failure::told(Exit::Usage, "the two passwords differ"));
        }
        Ok(first)
    }
}

fn first_line(input: impl Read) -> io::Result<String> {
    let mut text = String::new();
    input.take(MOST).read_to_string(&mut text)?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}
