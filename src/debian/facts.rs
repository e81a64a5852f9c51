//! What the bridge reads from a package to find its dependencies. Kept, because it depends only on the package's bytes.

use camino::Utf8Path;
use fs_err as fs;
use serde::{Deserialize, Serialize};

use super::deb::{Deb, Kind};
use super::elf::Elf;
use super::error::ImportError;
use super::license;
use crate::digest::Sha256;
use crate::store::write_atomic;

/// Part of the names of kept files: raise it when what is read changes.
const FORMAT: u32 = 1;

/// What is read from a package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Facts {
    /// The newest time of its files, in seconds since 1970.
    pub newest: u64,
    /// The short names of its licences in the copyright file, if that is machine-readable.
    pub licenses: Vec<String>,
    pub programs: Vec<Program>,
    /// The files and links by which the loader could find a library.
    pub libraries: Vec<String>,
}

/// A program or library.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Program {
    pub path: String,
    /// What it requires from the loader.
    pub elf: Elf,
}

impl Facts {
    /// Reads the package at `file`, or its kept facts from the directory `kept`.
    pub(super) fn of(file: &Utf8Path, sha256: Sha256, arch: &str, kept: &Utf8Path) -> Result<Self, ImportError> {
        let path = kept.join(format!("{sha256}.{arch}.{FORMAT}.json"));
        if let Ok(bytes) = fs::read(&path)
            && let Ok(facts) = serde_json::from_slice(&bytes)
        {
            return Ok(facts);
        }
        let wrong = |source| ImportError::Deb { file: file.to_string(), source };
        let facts = Self::read(&Deb::open(file, |_| true).map_err(wrong)?, arch);
        let bytes = serde_json::to_vec(&facts).map_err(|error| ImportError::file(&path)(error.into()))?;
        write_atomic(&path, &bytes, 0o644)?;
        Ok(facts)
    }

    fn read(deb: &Deb, arch: &str) -> Self {
        let mut facts = Self { newest: 0, licenses: Vec::new(), programs: Vec::new(), libraries: Vec::new() };
        for entry in &deb.entries {
            facts.newest = facts.newest.max(entry.mtime);
            let name = entry.path.rsplit('/').next().unwrap_or_default();
            let is_library = match &entry.kind {
                Kind::File(content) => facts.read_file(&entry.path, content, arch),
                Kind::Symlink(_) | Kind::Hardlink(_) => name.contains(".so"),
                Kind::Directory => false,
            };
            if is_library {
                facts.libraries.push(entry.path.clone());
            }
        }
        facts
    }

    /// Records the file if it is a library or program that the loader can load. Returns whether it is.
    fn read_file(&mut self, path: &str, content: &[u8], arch: &str) -> bool {
        if path.starts_with("usr/share/doc/") && path.ends_with("/copyright") {
            self.licenses = license::short_names(&String::from_utf8_lossy(content));
        }
        // Don't reject the package because of a file that only looks like a program, such as test data.
        let Ok(Some(elf)) = Elf::parse(content, arch) else { return false };
        self.programs.push(Program { path: path.to_owned(), elf });
        true
    }
}
