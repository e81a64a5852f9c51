//! The fuzz targets of mailimg: what each does with an input, and made-up inputs to begin with.
//!
//! `tests/mutated.rs` of mailimg runs some of them as well, on mutated seeds.

pub mod common;
pub mod deb;
pub mod dependency;
pub mod index;
pub mod layout;
pub mod lock;
pub mod package;
mod project;
pub mod registry;
pub mod signature;
pub mod tar;
pub mod template;
pub mod toml;
pub mod version;

use std::path::Path;

use common::Target;

/// Writes the seeds of a target into the directory that `SEEDS` names, from where the fuzzer reads them.
pub fn begin(target: &Target) {
    let Some(directory) = std::env::var_os("SEEDS") else { return };
    for (number, seed) in (target.seeds)().iter().enumerate() {
        let path = Path::new(&directory).join(format!("seed-{number}"));
        std::fs::write(path, seed).expect("a directory for seeds");
    }
}

/// Runs a target with an input of the fuzzer.
pub fn run(target: &Target, input: &[u8]) {
    if let Err(error) = (target.check)(input) {
        common::told(&*error);
    }
}
