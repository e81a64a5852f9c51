use std::fs::File;
use std::io::{self, Read as _, Seek as _};

use camino::Utf8Path;
use rustix::io::Errno;

use super::support::cautious;
use crate::digest::{Hashing, Sha256};

/// Opens a blob of a directory that somebody else may have written: a regular file. A link could lead to any file of this
/// machine, and opening a FIFO could take for ever.
pub fn open_blob(path: &Utf8Path) -> io::Result<File> {
    let not_a_file = || io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file");
    let file = cautious().read(true).open(path).map_err(|error| match Errno::from_io_error(&error) {
        // What opening a link, and a socket, gives.
        Some(Errno::LOOP | Errno::NXIO) => not_a_file(),
        _ => error,
    })?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(not_a_file()) }
}

/// Opens a blob as [`open_blob`] does, and reads it: its content, of `size` bytes, must be what its digest says.
pub fn open_verified_blob(path: &Utf8Path, digest: Sha256, size: u64) -> io::Result<File> {
    let mut hashing = Hashing::new(open_blob(path)?.take(size.saturating_add(1)));
    io::copy(&mut hashing, &mut io::sink())?;
    let (found, count, file) = hashing.finish();
    check_blob((found, count), (digest, size))?;
    let mut file = file.into_inner();
    file.rewind()?;
    Ok(file)
}

/// Whether what was read of a blob is what was expected.
pub fn check_blob((found, count): (Sha256, u64), (digest, size): (Sha256, u64)) -> io::Result<()> {
    let reason = match (count == size, found == digest) {
        (true, true) => return Ok(()),
        (true, false) => format!("it was changed: its SHA-256 is {found}"),
        (false, _) => format!("it was changed: it doesn't have {size} bytes"),
    };
    Err(io::Error::new(io::ErrorKind::InvalidData, reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(path: &Utf8Path) -> String {
        open_verified_blob(path, Sha256::of("blob"), 4).unwrap_err().to_string()
    }

    #[test]
    fn only_regular_files_with_the_right_content_are_blobs() {
        let directory = tempfile::tempdir().unwrap();
        let directory = Utf8Path::from_path(directory.path()).unwrap();
        let path = directory.join("blob");
        std::fs::write(&path, "blob").unwrap();
        let mut text = String::new();
        open_verified_blob(&path, Sha256::of("blob"), 4).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "blob");
        let link = directory.join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let fifo = directory.join("fifo");
        rustix::fs::mkfifoat(rustix::fs::CWD, fifo.as_str(), rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(directory.join("socket")).unwrap();
        for other in [&*link, &*fifo, &*directory.join("socket"), directory, Utf8Path::new("/dev/zero")] {
            assert_eq!(refused(other), "it is not a regular file", "{other}");
        }
        for (content, reason) in [
            ("bl0b", "it was changed: its SHA-256 is "),
            ("blo", "it was changed: it doesn't have 4 bytes"),
            ("blobs", "it was changed: it doesn't have 4 bytes"),
        ] {
            std::fs::write(&path, content).unwrap();
            assert!(refused(&path).starts_with(reason), "{content}: {}", refused(&path));
        }
    }
}
