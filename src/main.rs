//! The `mailimg` program. Everything it does is in the library; see [`mailimg::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    mailimg::cli::run()
}
