use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};

use camino::{Utf8Path, Utf8PathBuf};

use super::lock_exclusive;
use super::support::{set_mode, sync_directory, sync_file};

/// A file could not be written. Its old content is unchanged.
#[derive(Debug, thiserror::Error)]
#[error("can't write {path}")]
pub struct WriteError {
    pub path: Utf8PathBuf,
    pub source: io::Error,
}

/// Replaces the file at `path` with one that has these bytes and this mode (see [`set_mode`]), or leaves it unchanged.
///
/// Readers see the old content or the new, even after a crash. Missing parent directories are created. The bytes are
/// first written to `.<name>.mailimg-tmp` in the same directory; if the process is killed, the next write of the same
/// file reuses that.
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

fn write(path: &Utf8Path, bytes: &[u8], mode: u32, ready: impl FnOnce() -> io::Result<()> + Send) -> io::Result<()> {
    let name = path.file_name().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "not a file name"))?;
    let directory = path.parent().filter(|parent| !parent.as_str().is_empty()).unwrap_or(Utf8Path::new("."));
    std::fs::create_dir_all(directory)?;
    let temporary = Temporary::open(directory.join(format!(".{name}.mailimg-tmp")))?;
    let mut file = &temporary.file;
    file.set_len(0)?;
    file.write_all(bytes)?;
    set_mode(file, mode)?;
    let (written, ready) = rayon::join(|| sync_file(file), ready);
    written.and(ready)?;
    temporary.rename(path)?;
    sync_directory(directory)
}

/// A locked file that is removed unless it gets renamed.
struct Temporary {
    file: File,
    path: Utf8PathBuf,
    renamed: bool,
}

impl Temporary {
    /// Waits for other processes that write the same file.
    fn open(path: Utf8PathBuf) -> io::Result<Self> {
        loop {
            // Secrets are written this way too: nobody else may read them before the mode is set.
            let file = File::options().create(true).truncate(false).write(true).mode(0o600).open(&path)?;
            lock_exclusive(&file, &path)?;
            // The previous holder of the lock may have renamed the file while we waited.
            match std::fs::symlink_metadata(&path) {
                Ok(there) if same_file(&there, &file.metadata()?) => return Ok(Self { file, path, renamed: false }),
                Ok(there) if there.is_symlink() => std::fs::remove_file(&path)?,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn rename(mut self, path: &Utf8Path) -> io::Result<()> {
        std::fs::rename(&self.path, path)?;
        self.renamed = true;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.renamed {
            // The write has failed, and that is the error to report.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn same_file(a: &std::fs::Metadata, b: &std::fs::Metadata) -> bool {
    (a.dev(), a.ino()) == (b.dev(), b.ino())
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
    fn takes_over_what_a_killed_process_left() {
        let (_keep, directory) = directory();
        let path = directory.join("file");
        std::fs::write(directory.join(".file.mailimg-tmp"), "half of something longer than the new content").unwrap();
        write_atomic(&path, "new", 0o644).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(directory.read_dir_utf8().unwrap().count(), 1);
    }

    #[test]
    fn does_not_write_through_a_planted_link() {
        let (_keep, directory) = directory();
        let victim = directory.join("victim");
        std::fs::write(&victim, "untouched").unwrap();
        std::os::unix::fs::symlink(&victim, directory.join(".file.mailimg-tmp")).unwrap();
        write_atomic(&directory.join("file"), "new", 0o644).unwrap();
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "untouched");
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
