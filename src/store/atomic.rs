use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;

use camino::{Utf8Path, Utf8PathBuf};
use tempfile::NamedTempFile;

use super::lock_exclusive;
use super::locking::{Attempt, try_lock_exclusive};
use super::support::{cautious, set_mode, sync_directory, sync_file};

/// A file could not be written. Its old content is unchanged.
#[derive(Debug, thiserror::Error)]
#[error("can't write {path}")]
pub struct WriteError {
    pub path: Utf8PathBuf,
    pub source: io::Error,
}

/// Replaces the file at `path` with one that has these bytes and this mode (see [`set_mode`]), or leaves it unchanged.
///
/// Readers see the old content or the new, even after a crash. Missing parent directories are created. A link is
/// replaced, not followed, and what is neither a file nor a link stays as it is. The bytes are first written to
/// `.<name>.<random>.mailimg-tmp` in the same directory; if the process is killed, the next write of the same file
/// removes that.
pub fn write_atomic(path: &Utf8Path, bytes: impl AsRef<[u8]>, mode: u32) -> Result<(), WriteError> {
    write_atomic_after(path, bytes, mode, || Ok(()))
}

/// Like [`write_atomic`], but the file appears only after `ready` has succeeded, which runs while the bytes are synced:
/// for a file that refers to others, which must exist first.
pub fn write_atomic_after(
    path: &Utf8Path,
    bytes: impl AsRef<[u8]>,
    mode: u32,
    ready: impl FnOnce() -> io::Result<()> + Send,
) -> Result<(), WriteError> {
    write(path, bytes.as_ref(), mode, ready).map_err(|source| WriteError { path: path.to_owned(), source })
}

/// Writes what a user has named: a file, as [`write_atomic`] does, or into a device or FIFO, such as `/dev/null`.
pub fn write_output(path: &Utf8Path, bytes: impl AsRef<[u8]>, mode: u32) -> Result<(), WriteError> {
    if !is_stream(path) {
        return write_atomic(path, bytes, mode);
    }
    let written = File::options().write(true).open(path).and_then(|mut file| file.write_all(bytes.as_ref()));
    written.map_err(|source| WriteError { path: path.to_owned(), source })
}

/// Whether there is something to write to that isn't a file, or that another process has opened (`/dev/fd/3`).
fn is_stream(path: &Utf8Path) -> bool {
    let is_open_file = ["/dev/fd/", "/dev/std", "/proc/"].iter().any(|start| path.as_str().starts_with(start));
    let is_special = |found: std::fs::Metadata| !found.is_file() && !found.is_dir();
    is_open_file || std::fs::metadata(path).is_ok_and(is_special)
}

fn write(path: &Utf8Path, bytes: &[u8], mode: u32, ready: impl FnOnce() -> io::Result<()> + Send) -> io::Result<()> {
    let name = path.file_name().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "not a file name"))?;
    let directory = path.parent().filter(|parent| !parent.as_str().is_empty()).unwrap_or(Utf8Path::new("."));
    std::fs::create_dir_all(directory)?;
    if std::fs::symlink_metadata(path).is_ok_and(|found| !found.is_file() && !found.is_symlink()) {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "something that isn't a file has that name"));
    }
    let temporary = temporary(directory, name)?;
    let mut file = temporary.as_file();
    file.write_all(bytes)?;
    set_mode(file, mode)?;
    let (written, ready) = rayon::join(|| sync_file(file), ready);
    written.and(ready)?;
    temporary.persist(path).map_err(|error| error.error)?;
    sync_directory(directory)
}

const SUFFIX: &str = ".mailimg-tmp";

/// How many names in a directory are looked at for what killed processes have left.
const MOST_NAMES: usize = 1000;

/// A new file, under a name that nobody can foresee, which others can't read: secrets are written this way, too.
fn temporary(directory: &Utf8Path, name: &str) -> io::Result<NamedTempFile> {
    // Names have at most 255 bytes.
    let short = name.char_indices().nth(50).and_then(|(end, _)| name.get(..end)).unwrap_or(name);
    let prefix = format!(".{short}.");
    loop {
        let file = tempfile::Builder::new().prefix(&prefix).suffix(SUFFIX).rand_bytes(12).tempfile_in(directory)?;
        let path = Utf8Path::from_path(file.path()).unwrap_or(directory);
        // Whoever cleans up leaves what is locked.
        lock_exclusive(file.as_file(), path)?;
        match std::fs::symlink_metadata(file.path()) {
            Ok(_) => {
                remove_leftovers(directory, &prefix, &file);
                return Ok(file);
            }
            // It was taken for a leftover before it was locked.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
}

/// Removes the temporary files of processes that were killed. If that fails, the next write tries again.
fn remove_leftovers(directory: &Utf8Path, prefix: &str, own: &NamedTempFile) {
    let Ok(user) = own.as_file().metadata().map(|own| own.uid()) else { return };
    for entry in directory.read_dir_utf8().into_iter().flatten().take(MOST_NAMES).flatten() {
        let is_temporary = entry.file_name().starts_with(prefix) && entry.file_name().ends_with(SUFFIX);
        if !is_temporary || entry.path() == own.path() {
            continue;
        }
        let Ok(file) = cautious().read(true).write(true).open(entry.path()) else { continue };
        let is_own = file.metadata().is_ok_and(|found| found.is_file() && found.uid() == user);
        if is_own && try_lock_exclusive(&file, entry.path()).is_ok_and(|attempt| attempt == Attempt::Locked) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory() -> (tempfile::TempDir, Utf8PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::try_from(directory.path().to_owned()).unwrap();
        (directory, path)
    }

    #[test]
    fn replaces_content_and_mode_and_makes_parents() {
        let (_keep, directory) = directory();
        let path = directory.join("a/b/file");
        write_atomic(&path, "one", 0o644).unwrap();
        write_atomic(&path, "two", 0o600).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "two");
        assert_eq!(path.metadata().unwrap().mode() & 0o7777, 0o600);
        assert_eq!(directory.join("a/b").read_dir_utf8().unwrap().count(), 1, "nothing else is left");
    }

    #[test]
    fn does_not_appear_before_what_it_names() {
        let (_keep, directory) = directory();
        let path = directory.join("index");
        let error = write_atomic_after(&path, "x", 0o644, || Err(io::ErrorKind::StorageFull.into())).unwrap_err();
        assert_eq!(error.source.kind(), io::ErrorKind::StorageFull);
        assert_eq!(directory.read_dir_utf8().unwrap().count(), 0);
        write_atomic_after(&path, "x", 0o644, || if path.exists() { Err(io::ErrorKind::Other.into()) } else { Ok(()) })
            .unwrap();
        assert!(path.exists());
    }

    #[test]
    fn removes_what_a_killed_process_left() {
        let (_keep, directory) = directory();
        let path = directory.join("file");
        let [left, used] = ["left", "used"].map(|part| directory.join(format!(".file.{part}{SUFFIX}")));
        std::fs::write(&left, "half").unwrap();
        let in_use = File::create(&used).unwrap();
        in_use.lock().unwrap();
        for other in [format!(".other.left{SUFFIX}"), ".file.left".to_owned()] {
            std::fs::write(directory.join(other), "").unwrap();
        }
        write_atomic(&path, "new", 0o644).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "new");
        assert!(!left.exists() && used.exists());
        assert_eq!(directory.read_dir_utf8().unwrap().count(), 4);
    }

    #[test]
    fn touches_nothing_that_was_planted() {
        let (_keep, directory) = directory();
        let victim = directory.join("victim");
        std::fs::write(&victim, "untouched").unwrap();
        let planted = |name: &str| directory.join(format!(".file{name}{SUFFIX}"));
        for name in ["", ".x"] {
            std::os::unix::fs::symlink(&victim, planted(&format!("{name}.link"))).unwrap();
            std::fs::hard_link(&victim, planted(&format!("{name}.hard"))).unwrap();
            make_fifo(&planted(&format!("{name}.fifo")));
        }
        std::os::unix::fs::symlink(directory.join("outside"), planted("")).unwrap();
        write_atomic(&directory.join("file"), "new", 0o644).unwrap();
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "untouched");
        assert!(!directory.join("outside").exists());
    }

    #[test]
    fn replaces_a_link_instead_of_following_it() {
        let (_keep, directory) = directory();
        let (victim, link) = (directory.join("victim"), directory.join("link"));
        std::fs::write(&victim, "untouched").unwrap();
        for is_output in [false, true] {
            let _ = std::fs::remove_file(&link);
            std::os::unix::fs::symlink(&victim, &link).unwrap();
            let write =
                |path| if is_output { write_output(path, "new", 0o644) } else { write_atomic(path, "new", 0o644) };
            write(&link).unwrap();
            assert_eq!(std::fs::read_to_string(&victim).unwrap(), "untouched");
            assert!(link.symlink_metadata().unwrap().is_file());
        }
    }

    #[test]
    fn replaces_only_files() {
        let (_keep, directory) = directory();
        let fifo = directory.join("fifo");
        make_fifo(&fifo);
        for path in [&*fifo, &*directory, Utf8Path::new("/dev/null")] {
            let error = write_atomic(path, "x", 0o644).unwrap_err();
            assert_eq!(error.source.kind(), io::ErrorKind::AlreadyExists, "{path}");
        }
        assert!(!Utf8Path::new("/dev/null").metadata().unwrap().is_file());
    }

    #[test]
    fn output_goes_into_what_is_no_file() {
        let (_keep, directory) = directory();
        let fifo = directory.join("fifo");
        make_fifo(&fifo);
        let reader = std::thread::spawn({
            let fifo = fifo.clone();
            move || std::fs::read_to_string(fifo).unwrap()
        });
        write_output(&fifo, "through", 0o644).unwrap();
        assert_eq!(reader.join().unwrap(), "through");
        write_output(Utf8Path::new("/dev/null"), "x", 0o644).unwrap();
        assert!(!Utf8Path::new("/dev/null").metadata().unwrap().is_file());
        write_output(&directory.join("file"), "new", 0o644).unwrap();
        assert_eq!(std::fs::read_to_string(directory.join("file")).unwrap(), "new");
    }

    #[test]
    fn long_names_are_written() {
        let (_keep, directory) = directory();
        write_atomic(&directory.join("é".repeat(127)), "new", 0o644).unwrap();
    }

    fn make_fifo(path: &Utf8Path) {
        rustix::fs::mkfifoat(rustix::fs::CWD, path.as_str(), rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
    }

    #[test]
    fn names_the_file_that_it_could_not_write() {
        let (_keep, directory) = directory();
        std::fs::write(directory.join("file"), "").unwrap();
        let path = directory.join("file/below");
        let error = write_atomic(&path, "x", 0o644).unwrap_err();
        assert_eq!(error.to_string(), format!("can't write {path}"));
    }

    #[test]
    fn writers_of_one_file_take_turns() {
        let (_keep, directory) = directory();
        let path = directory.join("file");
        std::thread::scope(|scope| {
            for n in 0..8_u8 {
                let path = &path;
                scope.spawn(move || {
                    for _ in 0..20 {
                        write_atomic(path, vec![n; 5_000 + usize::from(n)], 0o644).unwrap();
                    }
                });
            }
        });
        let content = std::fs::read(&path).unwrap();
        assert!(content.iter().all(|b| *b == content[0]));
        assert_eq!(content.len(), 5_000 + usize::from(content[0]));
        assert_eq!(directory.read_dir_utf8().unwrap().count(), 1);
    }
}
