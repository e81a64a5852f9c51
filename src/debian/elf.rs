//! What a program or library requires from the dynamic loader.

use object::elf;
use object::read::elf::{Dyn as _, FileHeader as _};
use object::{Endianness, read};
use serde::{Deserialize, Serialize};

/// The part of an ELF file's dynamic section that says which libraries it needs and where to search for them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Elf {
    /// `DT_NEEDED`: the names of required libraries.
    pub needed: Vec<String>,
    /// `DT_SONAME`: the name by which others require this library.
    pub soname: Option<String>,
    /// `DT_RUNPATH`, or `DT_RPATH` without it: directories to search first; may contain `$ORIGIN`.
    pub runpath: Vec<String>,
}

/// The machine of an ELF file, such as `EM_X86_64`.
fn machine(arch: &str) -> Option<u16> {
    match arch {
        "amd64" => Some(elf::EM_X86_64),
        "arm64" => Some(elf::EM_AARCH64),
        _ => None,
    }
}

impl Elf {
    /// Reads a file's dynamic section. `None` for files that the loader of `arch` (Debian's name) wouldn't load: other
    /// files, other machines, static programs, kernel modules.
    pub(super) fn parse(bytes: &[u8], arch: &str) -> Result<Option<Self>, read::Error> {
        if !bytes.starts_with(&elf::ELFMAG) {
            return Ok(None);
        }
        let Ok(header) = elf::FileHeader64::<Endianness>::parse(bytes) else { return Ok(None) };
        let endian = header.endian()?;
        if machine(arch) != Some(header.e_machine(endian)) {
            return Ok(None);
        }
        let sections = header.sections(endian, bytes)?;
        let Some((entries, strings)) = sections.dynamic(endian, bytes)? else { return Ok(None) };
        let strings = sections.strings(endian, bytes, strings)?;

        let mut found = Self::default();
        let mut rpath = Vec::new();
        for entry in entries {
            let text = || entry.string(endian, strings).map(|text| String::from_utf8_lossy(text).into_owned());
            match entry.tag32(endian) {
                Some(elf::DT_NEEDED) => found.needed.push(text()?),
                Some(elf::DT_SONAME) => found.soname = Some(text()?),
                Some(elf::DT_RUNPATH) => found.runpath = directories(&text()?),
                Some(elf::DT_RPATH) => rpath = directories(&text()?),
                _ => {}
            }
        }
        if found.runpath.is_empty() {
            found.runpath = rpath;
        }
        Ok(Some(found))
    }
}

fn directories(list: &str) -> Vec<String> {
    list.split(':').filter(|directory| !directory.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_this_very_program() {
        let bytes = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let arch = if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" };
        let other = if cfg!(target_arch = "x86_64") { "arm64" } else { "amd64" };
        let elf = Elf::parse(&bytes, arch).unwrap().expect("a dynamic program");
        assert!(elf.needed.iter().any(|name| name.starts_with("libc.so")), "{elf:?}");
        assert_eq!(elf.soname, None);
        assert_eq!(Elf::parse(&bytes, other).unwrap(), None);
    }

    #[test]
    fn passes_over_what_is_no_elf_file() {
        assert_eq!(Elf::parse(b"#!/bin/sh\n", "amd64").unwrap(), None);
        assert_eq!(Elf::parse(b"\x7fELF", "amd64").unwrap(), None);
    }

    #[test]
    fn a_cut_file_is_an_error_or_nothing() {
        let bytes = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let arch = if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" };
        for length in [5, 40, 64, 100, 4096] {
            let parsed = Elf::parse(&bytes[..length], arch);
            assert!(!matches!(parsed, Ok(Some(_))), "{length}: {parsed:?}");
        }
    }
}
