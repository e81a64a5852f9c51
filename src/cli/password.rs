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
    /// Reads a password that the server knows.
    pub(super) fn read(&self) -> Result<String, Failure> {
        self.given().unwrap_or_else(|| Ok(rpassword::prompt_password("Password: ")?))
    }

    /// Reads a new password; from a terminal, twice.
    pub(super) fn read_new(&self) -> Result<String, Failure> {
        self.given().unwrap_or_else(|| {
            let first = rpassword::prompt_password("Password: ")?;
            if rpassword::prompt_password("Again: ")? != first {
                return Err(Failure::told(Exit::Usage, "the two passwords differ"));
            }
            Ok(first)
        })
    }

    /// Whether an option says where the password comes from.
    pub(super) fn is_given(&self) -> bool {
        self.password_stdin || self.password_file.is_some()
    }

    /// The password, unless there is a terminal to ask for it.
    fn given(&self) -> Option<Result<String, Failure>> {
        if self.password_stdin {
            return Some(first_line(io::stdin().lock()).map_err(Failure::from));
        }
        if let Some(path) = &self.password_file {
            let read = File::open(path).and_then(first_line);
            return Some(read.map_err(|error| Failure::told(Exit::Usage, format!("can't read {path}: {error}"))));
        }
        if io::stdin().is_terminal() {
            return None;
        }
        Some(Err(Failure::told(Exit::Usage, "there is no terminal to prompt for the password")
            .hint("pass it on standard input with --password-stdin, or with --password-file")))
    }
}

fn first_line(input: impl Read) -> io::Result<String> {
    let mut text = String::new();
    input.take(MOST).read_to_string(&mut text)?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}
