//! Puts recipes, images, channels and schemas into the program, for `mailimg init` to write, and links it compactly.
//!
//! Paths are relative and sorted, so that the same tree gives the same program wherever it is built.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

const FOLDERS: [&str; 4] = ["apk-locks", "images", "recipes", "schema"];

fn main() -> io::Result<()> {
    // Half a megabyte of relocations becomes a few pages, which each start of the program would read. Needs glibc 2.36.
    if ["CARGO_CFG_TARGET_OS", "CARGO_CFG_TARGET_ENV"].map(|name| env::var(name).unwrap_or_default())
        == ["linux", "gnu"]
    {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let mut entries = Vec::new();
    for folder in FOLDERS {
        println!("cargo::rerun-if-changed={folder}");
        if root.join(folder).is_dir() {
            collect(&root, Path::new(folder), &mut entries)?;
        }
    }
    entries.sort();
    let mut table = String::from("&[\n");
    for (path, source) in entries {
        let _ = writeln!(table, "    Embedded {{ path: {path:?}, source: {source} }},");
    }
    table.push(']');
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    fs::write(out.join("embedded.rs"), table)
}

fn collect(root: &Path, folder: &Path, entries: &mut Vec<(String, String)>) -> io::Result<()> {
    for entry in fs::read_dir(root.join(folder))? {
        let entry = entry?;
        let path = folder.join(entry.file_name());
        let metadata = entry.path().symlink_metadata()?;
        let name = path.to_str().ok_or_else(|| io::Error::other(format!("{} is not UTF-8", path.display())))?;
        if metadata.is_dir() {
            collect(root, &path, entries)?;
        } else if metadata.is_symlink() {
            let target = fs::read_link(entry.path())?;
            entries.push((name.to_owned(), format!("Source::Link({:?})", target.to_string_lossy())));
        } else {
            let executable = metadata.permissions().mode() & 0o100 != 0;
            let include = format!("include_bytes!(concat!(env!(\"CARGO_MANIFEST_DIR\"), {:?}))", format!("/{name}"));
            entries.push((name.to_owned(), format!("Source::File {{ executable: {executable}, bytes: {include} }}")));
        }
    }
    Ok(())
}
