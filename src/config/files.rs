use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};
use cap_std_ext::cap_std;
use cap_std_ext::cap_std::fs::{Dir, DirEntry, File, OpenOptions, OpenOptionsExt as _};
use rustix::fs::OFlags;
use rustix::io::Errno;

/// The most entries of a directory. A mail server's templates are in the dozens.
const MOST_ENTRIES: usize = 65_536;

/// The files of a project, which somebody else may have written.
///
/// Only regular files below its directory can be read, each up to a limit. A symbolic link may lead to another place in
/// the project, but not out of it: otherwise a pull request could bake a file of the machine that builds it.
#[derive(Debug, Clone)]
pub struct Files {
    root: Utf8PathBuf,
    directory: Arc<Dir>,
}

/// Why a file of a project can't be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The system refuses it.
    #[error("can't read {path}")]
    Io { path: Utf8PathBuf, source: io::Error },
    /// The file, or a directory above it, is a link to a place outside the project.
    #[error("{path} is a link that leads out of {root}")]
    Outside { path: Utf8PathBuf, root: Utf8PathBuf },
    /// A directory, device, FIFO or socket.
    #[error("{path} is not a regular file")]
    NotAFile { path: Utf8PathBuf },
    /// More bytes than such a file may have.
    #[error("{path} has more than {limit} bytes")]
    TooLarge { path: Utf8PathBuf, limit: u64 },
    /// More entries than a directory may have.
    #[error("{path} has more than {MOST_ENTRIES} entries")]
    TooMany { path: Utf8PathBuf },
}

/// What an entry of a directory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Directory,
    File,
    Link,
    Other,
}

impl ReadError {
    /// Whether there is no such file.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

impl Files {
    /// Opens the directory `root`, which may itself be a link.
    pub fn open(root: &Utf8Path) -> Result<Self, ReadError> {
        let directory = Dir::open_ambient_dir(root, cap_std::ambient_authority());
        let directory = directory.map_err(|source| ReadError::Io { path: root.to_owned(), source })?;
        Ok(Self { root: root.to_owned(), directory: Arc::new(directory) })
    }

    /// The directory, as given.
    #[must_use]
    pub fn root(&self) -> &Utf8Path {
        &self.root
    }

    /// The content of the regular file at `path`, which begins with the directory.
    pub fn read(&self, path: &Utf8Path, limit: u64) -> Result<Vec<u8>, ReadError> {
        self.read_with_mode(path, limit).map(|(bytes, _)| bytes)
    }

    /// Like [`read`](Self::read), for a file that must be UTF-8.
    pub fn read_text(&self, path: &Utf8Path, limit: u64) -> Result<String, ReadError> {
        let invalid = |error| self.failed(path, io::Error::new(io::ErrorKind::InvalidData, error));
        String::from_utf8(self.read(path, limit)?).map_err(invalid)
    }

    /// Like [`read`](Self::read), and the file's mode.
    pub fn read_with_mode(&self, path: &Utf8Path, limit: u64) -> Result<(Vec<u8>, u32), ReadError> {
        let failed = |source| self.failed(path, source);
        // `NONBLOCK`: opening a FIFO mustn't wait for a writer.
        let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(i32::try_from(flags.bits()).unwrap_or_default());
        let open = |path: &Utf8Path| self.directory.open_with(path, &options).map(File::into_std);
        let file = self.resolved(path, open)?;
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() {
            return Err(ReadError::NotAFile { path: path.to_owned() });
        }
        let too_large = || ReadError::TooLarge { path: path.to_owned(), limit };
        if metadata.size() > limit {
            return Err(too_large());
        }
        let mut bytes = Vec::with_capacity(usize::try_from(metadata.size()).unwrap_or_default());
        // It may grow in the meantime.
        file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
        if u64::try_from(bytes.len()).is_ok_and(|length| length > limit) {
            return Err(too_large());
        }
        Ok((bytes, metadata.permissions().mode()))
    }

    /// The entries of a directory, sorted by name.
    pub fn list(&self, path: &Utf8Path) -> Result<Vec<(Utf8PathBuf, Kind)>, ReadError> {
        let failed = |source| self.failed(path, source);
        let mut entries = Vec::new();
        for entry in self.resolved(path, |path| self.directory.read_dir(path))? {
            if entries.len() == MOST_ENTRIES {
                return Err(ReadError::TooMany { path: path.to_owned() });
            }
            let (name, kind) = entry.and_then(|entry| named(&entry)).map_err(failed)?;
            entries.push((path.join(name), kind));
        }
        entries.sort();
        Ok(entries)
    }

    /// The literal target of a symbolic link.
    pub fn link(&self, path: &Utf8Path) -> Result<String, ReadError> {
        let target = self.resolved(path, |path| self.directory.read_link_contents(path))?;
        target.into_os_string().into_string().map_err(|_| self.failed(path, not_utf8()))
    }

    /// Does something with a path below the directory.
    fn resolved<T>(&self, path: &Utf8Path, act: impl Fn(&Utf8Path) -> io::Result<T>) -> Result<T, ReadError> {
        let outside = || ReadError::Outside { path: path.to_owned(), root: self.root.clone() };
        let inner = path.strip_prefix(&self.root).map_err(|_| outside())?;
        let inner = if inner.as_str().is_empty() { Utf8Path::new(".") } else { inner };
        let outcome = match act(inner) {
            // A link with an absolute target counts as one that leads out. This one may not.
            Err(error) if leads_out(&error) => match self.inside(path) {
                Ok(inner) => act(&inner.ok_or_else(outside)?),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Err(error),
                Err(_) => return Err(outside()),
            },
            outcome => outcome,
        };
        outcome.map_err(|error| match Errno::from_io_error(&error) {
            _ if leads_out(&error) => outside(),
            // What opening a socket gives.
            Some(Errno::NXIO) => ReadError::NotAFile { path: path.to_owned() },
            _ => self.failed(path, error),
        })
    }

    /// Where a path leads, if that is below the directory.
    fn inside(&self, path: &Utf8Path) -> io::Result<Option<Utf8PathBuf>> {
        let root = self.root.canonicalize_utf8()?;
        match (path.canonicalize_utf8(), path.parent()) {
            // What isn't there is missing only where its directory is inside.
            (Err(error), Some(parent)) if error.kind() == io::ErrorKind::NotFound && path != self.root => {
                self.inside(parent)?.map_or(Ok(None), |_| Err(error))
            }
            (real, _) => Ok(real?.strip_prefix(root).ok().map(Utf8Path::to_owned)),
        }
    }

    fn failed(&self, path: &Utf8Path, source: io::Error) -> ReadError {
        ReadError::Io { path: path.to_owned(), source }
    }
}

fn named(entry: &DirEntry) -> io::Result<(String, Kind)> {
    let kind = entry.file_type()?;
    let kind = match kind {
        _ if kind.is_dir() => Kind::Directory,
        _ if kind.is_file() => Kind::File,
        _ if kind.is_symlink() => Kind::Link,
        _ => Kind::Other,
    };
    Ok((entry.file_name().into_string().map_err(|_| not_utf8())?, kind))
}

fn not_utf8() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the name is not UTF-8")
}

/// cap-std's own error, which has no number.
fn leads_out(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied && error.raw_os_error().is_none()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    struct Fixture {
        files: Files,
        _keep: tempfile::TempDir,
    }

    /// A project beside a secret.
    fn fixture() -> Fixture {
        let keep = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(keep.path()).unwrap().join("project");
        for directory in ["project/inner/deeper", "elsewhere"] {
            std::fs::create_dir_all(keep.path().join(directory)).unwrap();
        }
        std::fs::write(root.join("inner/file"), "content").unwrap();
        std::fs::write(keep.path().join("elsewhere/secret"), "SECRET").unwrap();
        Fixture { files: Files::open(&root).unwrap(), _keep: keep }
    }

    impl Fixture {
        fn path(&self, path: &str) -> Utf8PathBuf {
            self.files.root().join(path)
        }

        fn read(&self, path: &str) -> Result<String, ReadError> {
            self.files.read_text(&self.path(path), 100)
        }

        fn link(&self, target: impl AsRef<std::path::Path>, path: &str) {
            symlink(target, self.path(path)).unwrap();
        }
    }

    #[test]
    fn links_that_stay_inside_are_followed() {
        let it = fixture();
        it.link("inner/file", "a");
        it.link("../file", "inner/deeper/up");
        it.link("inner", "other");
        it.link(it.path("inner"), "absolute");
        it.link("absolute", "chain");
        for path in ["inner/file", "a", "inner/deeper/up", "other/file", "absolute/file", "chain/deeper/../file"] {
            assert_eq!(it.read(path).unwrap(), "content", "{path}");
        }
        assert!(it.files.read(&it.path("absolute/gone"), 100).unwrap_err().is_missing());
        assert_eq!(it.files.list(&it.path("other")).unwrap().len(), 2);
        assert_eq!(it.files.link(&it.path("other")).unwrap(), "inner");
    }

    #[test]
    fn links_that_lead_out_are_not() {
        let it = fixture();
        it.link("../elsewhere/secret", "relative");
        it.link("/proc/self/environ", "environment");
        it.link("/dev/zero", "zero");
        it.link("../../project/../elsewhere", "inner/directory");
        it.link("/", "root");
        it.link("relative", "chain");
        for path in [
            "relative",
            "environment",
            "zero",
            "inner/directory/secret",
            "root/etc/passwd",
            "chain",
            "../elsewhere/secret",
        ] {
            assert!(matches!(it.read(path), Err(ReadError::Outside { .. })), "{path}: {:?}", it.read(path));
        }
        let listed = it.files.list(&it.path("inner/directory"));
        assert!(matches!(listed, Err(ReadError::Outside { .. })), "{listed:?}");
        assert!(matches!(it.files.read(Utf8Path::new("/etc/passwd"), 100), Err(ReadError::Outside { .. })));
    }

    #[test]
    fn only_regular_files_are_read_and_nothing_waits() {
        let it = fixture();
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mkfifoat(rustix::fs::CWD, it.path("fifo").as_str(), mode).unwrap();
        let _socket = UnixListener::bind(it.path("socket")).unwrap();
        it.link("fifo", "to-fifo");
        for path in ["fifo", "to-fifo", "socket", "inner"] {
            assert!(matches!(it.read(path), Err(ReadError::NotAFile { .. })), "{path}: {:?}", it.read(path));
        }
        it.link("loop", "loop");
        assert!(matches!(it.read("loop"), Err(ReadError::Io { .. })));
    }

    #[test]
    fn each_file_has_a_limit() {
        let it = fixture();
        let file = std::fs::File::create(it.path("large")).unwrap();
        file.set_len(100).unwrap();
        assert_eq!(it.read("large").unwrap().len(), 100);
        file.set_len(1 << 40).unwrap();
        assert!(matches!(it.read("large"), Err(ReadError::TooLarge { limit: 100, .. })));
    }

    #[test]
    fn entries_are_sorted_and_named_whole() {
        let it = fixture();
        it.link("nowhere", "inner/a");
        let listed = it.files.list(&it.path("inner")).unwrap();
        let expected = [("a", Kind::Link), ("deeper", Kind::Directory), ("file", Kind::File)];
        assert_eq!(listed, expected.map(|(name, kind)| (it.path("inner").join(name), kind)));
        assert!(it.files.list(&it.path("gone")).unwrap_err().is_missing());
    }
}
