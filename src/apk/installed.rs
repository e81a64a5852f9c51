//! The installed database, `/lib/apk/db/installed`: the installed packages and the paths of each, with mode, owner and
//! checksum. Written byte for byte as apk 2.14 does.
//!
//! One block per package: the fields of an index; then, for each directory, `F:`, with `M:uid:gid:mode` unless it is
//! root's with mode 0755; then, for each file in it, `R:`, with `a:uid:gid:mode` unless it is root's with mode 0644,
//! and its checksum as `Z:`.

use std::fmt::Write as _;

use indexmap::IndexMap;

use super::index::{self, EntryError, Listed};
use super::{Checksum, Package, excerpt};

/// An installed package and its paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// The package, with file size and checksum.
    pub package: Package,
    /// Its paths, in the package's order, without those that apk leaves out (names with a leading dot at the top).
    pub paths: Vec<InstalledPath>,
}

/// A path of an installed package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstalledPath {
    /// Relative, without a slash at either end.
    pub path: Vec<u8>,
    pub is_directory: bool,
    /// Permission bits; those of a symbolic link are 0777.
    pub mode: u32,
    /// Owner, after names have been resolved.
    pub uid: u32,
    /// Group, after names have been resolved.
    pub gid: u32,
    /// The SHA-1 of the content, or of the link's target. For a hard link, that of the file's content.
    pub checksum: Option<Checksum>,
}

/// Why an installed database can't be read.
#[derive(Debug, thiserror::Error)]
pub enum InstalledError {
    /// A package's fields can't be read.
    #[error("can't read {name} in the installed database")]
    Package { name: String, source: EntryError },
    /// A line about a path is malformed or out of place.
    #[error("can't read line {line} of the installed database: {found:?}")]
    Line { line: usize, found: String },
}

/// A directory of one package, as the database groups paths.
#[derive(Default)]
struct Directory<'a> {
    itself: Option<&'a InstalledPath>,
    files: Vec<&'a InstalledPath>,
}

/// The database. Packages are sorted by name, as apk does; directories are in the order of their first mention in each
/// package.
///
/// apk 2.14 writes `r:` and `q:` of a package without directories into the block of the next package that has some, or
/// nowhere. To get the same bytes, so does this.
#[must_use]
pub fn write(packages: &[Installed]) -> Vec<u8> {
    let mut sorted: Vec<_> = packages.iter().collect();
    sorted.sort_by(|a, b| a.package.name.cmp(&b.package.name));
    let mut out = Vec::new();
    let mut late_fields = String::new();
    for installed in sorted {
        let mut fields = String::new();
        index::block(&mut fields, &installed.package);
        index::installed_fields(&mut late_fields, &installed.package);
        if !installed.paths.is_empty() {
            fields.push_str(&std::mem::take(&mut late_fields));
        }
        out.extend(fields.into_bytes());
        for (path, directory) in directories(&installed.paths) {
            write_directory(&mut out, path, &directory);
        }
        out.push(b'\n');
    }
    out
}

fn directories(paths: &[InstalledPath]) -> IndexMap<&[u8], Directory<'_>> {
    let mut directories: IndexMap<&[u8], Directory<'_>> = IndexMap::new();
    for path in paths {
        if path.is_directory {
            directories.entry(&path.path).or_default().itself = Some(path);
        } else {
            directories.entry(split(&path.path).0).or_default().files.push(path);
        }
    }
    directories
}

fn write_directory(out: &mut Vec<u8>, path: &[u8], directory: &Directory<'_>) {
    line(out, b'F', path);
    if let Some(itself) = directory.itself {
        owner(out, 'M', itself, 0o755);
    }
    for file in &directory.files {
        line(out, b'R', split(&file.path).1);
        owner(out, 'a', file, 0o644);
        if let Some(checksum) = &file.checksum {
            line(out, b'Z', checksum.to_string().as_bytes());
        }
    }
}

fn owner(out: &mut Vec<u8>, letter: char, path: &InstalledPath, usual: u32) {
    if (path.uid, path.gid, path.mode) != (0, 0, usual) {
        let mut text = String::new();
        // Writing to a string doesn't fail.
        let _ = writeln!(text, "{letter}:{}:{}:{:o}", path.uid, path.gid, path.mode);
        out.extend(text.into_bytes());
    }
}

fn line(out: &mut Vec<u8>, letter: u8, value: &[u8]) {
    out.extend([letter, b':']);
    out.extend_from_slice(value);
    out.push(b'\n');
}

fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|&b| b == b'/').and_then(|at| path.split_at_checked(at)) {
        Some((directory, name)) => (directory, name.strip_prefix(b"/").unwrap_or(name)),
        None => (b"", path),
    }
}

/// Reads a database. Files follow their directory.
pub fn read(text: &[u8]) -> Result<Vec<Installed>, InstalledError> {
    let mut packages = Vec::new();
    let mut block = Block::default();
    for (number, line) in text.split(|b| *b == b'\n').enumerate() {
        if line.is_empty() {
            packages.extend(std::mem::take(&mut block).finish()?);
        } else if block.read(line).is_none() {
            let found = excerpt(&String::from_utf8_lossy(line));
            return Err(InstalledError::Line { line: number + 1, found });
        }
    }
    packages.extend(block.finish()?);
    Ok(packages)
}

#[derive(Default)]
struct Block {
    fields: Vec<u8>,
    directory: Option<Vec<u8>>,
    paths: Vec<InstalledPath>,
}

impl Block {
    /// Parses a line. Returns none if it is malformed.
    fn read(&mut self, line: &[u8]) -> Option<()> {
        let [letter, b':', value @ ..] = line else { return None };
        match (letter, &self.directory) {
            (b'F', _) => {
                // The top directory counts only because of the files in it.
                if !value.is_empty() {
                    self.paths.push(new_path(value.to_vec(), true));
                }
                self.directory = Some(value.to_vec());
            }
            (b'R', Some(directory)) => {
                let path = if directory.is_empty() { value.to_vec() } else { [directory, value].join(&b'/') };
                self.paths.push(new_path(path, false));
            }
            (b'M' | b'a', Some(_)) => {
                let path = self.paths.last_mut().filter(|path| path.is_directory == (*letter == b'M'))?;
                let mut numbers = std::str::from_utf8(value).ok()?.split(':');
                path.uid = numbers.next()?.parse().ok()?;
                path.gid = numbers.next()?.parse().ok()?;
                path.mode = u32::from_str_radix(numbers.next()?, 8).ok()?;
            }
            (b'Z', Some(_)) => {
                let path = self.paths.last_mut().filter(|path| !path.is_directory)?;
                path.checksum = Some(std::str::from_utf8(value).ok()?.parse().ok()?);
            }
            (_, Some(_)) => return None,
            (_, None) => {
                self.fields.extend_from_slice(line);
                self.fields.push(b'\n');
            }
        }
        Some(())
    }

    fn finish(self) -> Result<Option<Installed>, InstalledError> {
        let Listed { packages, left_out } = index::parse(&self.fields);
        if let Some(entry) = left_out.into_iter().next() {
            return Err(InstalledError::Package { name: entry.name, source: entry.error });
        }
        Ok(packages.into_iter().next().map(|package| Installed { package, paths: self.paths }))
    }
}

fn new_path(path: Vec<u8>, is_directory: bool) -> InstalledPath {
    let mode = if is_directory { 0o755 } else { 0o644 };
    InstalledPath { path, is_directory, mode, uid: 0, gid: 0, checksum: None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = "C:Q1qZk+NkcGgWq6PiVxeFDCbJzQ2J0=\nP:a\nV:1\nA:x86_64\nS:10\nI:20\nT:t\nU:u\nL:MIT\nD:b\nr:c\nq:7\n\
        F:usr\nF:usr/z\nM:5:6:2750\nR:b\nZ:Q1qZk+NkcGgWq6PiVxeFDCbJzQ2J0=\nR:link\na:0:0:777\n\
        Z:Q1qZk+NkcGgWq6PiVxeFDCbJzQ2J0=\nF:usr/a\nF:\nR:top\na:1:0:644\n\n\
        C:Q1qZk+NkcGgWq6PiVxeFDCbJzQ2J0=\nP:b\nV:2\nA:x86_64\nS:1\nI:2\nT:t\nU:u\nL:MIT\n\n";

    #[test]
    fn writes_what_it_read() {
        let packages = read(TEXT.as_bytes()).unwrap();
        assert_eq!(packages[0].paths[1].mode, 0o2750);
        assert_eq!(packages[0].paths[2].path, b"usr/z/b");
        assert_eq!(packages[0].package.replaces_priority, Some(7));
        assert_eq!(String::from_utf8(write(&packages)).unwrap(), TEXT);
    }

    #[test]
    fn packages_are_sorted_and_paths_are_not() {
        let mut packages = read(TEXT.as_bytes()).unwrap();
        packages.reverse();
        assert_eq!(String::from_utf8(write(&packages)).unwrap(), TEXT);
    }

    #[test]
    fn fields_of_a_package_without_directories_move_on_as_in_apk() {
        let text = |name: &str, rest: &str| format!("P:{name}\nV:1\nA:x\nS:1\nI:2\nT:\nU:\nL:\n{rest}\n");
        let packages = [text("a", "r:x\nq:1\n"), text("b", "r:y\nF:usr\n"), text("c", "r:z\n")].concat();
        let expected = [text("a", ""), text("b", "r:x\nq:1\nr:y\nF:usr\n"), text("c", "")].concat();
        let written = write(&read(packages.as_bytes()).unwrap());
        assert_eq!(String::from_utf8(written).unwrap(), expected);
    }

    #[test]
    fn says_which_line_is_wrong() {
        for (text, line) in [
            ("P:a\nV:1\nF:usr\nM:0:0\n", 4),
            ("P:a\nV:1\nF:usr\na:0:0:755\n", 4),
            ("P:a\nV:1\nF:usr\nR:x\nZ:Q1\n", 5),
            ("P:a\nV:1\nF:usr\nP:b\n", 4),
            ("what\n", 1),
        ] {
            let error = read(text.as_bytes()).unwrap_err();
            assert!(matches!(error, InstalledError::Line { line: found, .. } if found == line), "{error}");
        }
    }

    proptest! {
        #[test]
        fn reads_any_lines(text in "([PVFMRaZ]:[a-z0-9:]{0,6}\n){0,12}") {
            if let Ok(packages) = read(text.as_bytes()) {
                let _ = write(&packages);
            }
        }
    }
}
