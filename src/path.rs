//! Paths inside an image.

use std::fmt;
use std::sync::Arc;

/// Longest path that Linux opens (`PATH_MAX` without its final zero byte).
const MAX_PATH: usize = 4095;
/// Longest name of one entry of a directory (`NAME_MAX`).
const MAX_NAME: usize = 255;

/// A safe path inside an image: relative to its root, without `.`, `..`, empty or overlong components.
///
/// Bytes rather than text, as in file systems and tar. Sorting by bytes puts parents before their children. Clones share
/// the bytes: a path has a place in a package, in the merged tree, in the database and in layers.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TreePath(Arc<[u8]>);

/// Why a name is refused as a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    #[error("is empty")]
    Empty,
    /// Begins with a slash.
    #[error("is absolute")]
    Absolute,
    /// Holds `..`.
    #[error("contains \"..\"")]
    DotDot,
    /// Holds `.` or two slashes in a row.
    #[error("contains \".\" or an empty component")]
    NotNormal,
    /// Holds a zero byte, a line break or another control character.
    #[error("contains a control character")]
    Control,
    /// A name that deletes a file in image layers.
    #[error("starts with .wh., which marks deleted files in layers")]
    Whiteout,
    /// More than 4095 bytes, or 255 in one component.
    #[error("is longer than Linux allows")]
    TooLong,
}

impl TreePath {
    /// Checks `name`, ignoring trailing slashes.
    pub fn new(name: impl AsRef<[u8]>) -> Result<Self, PathError> {
        let mut name = name.as_ref();
        if name.first() == Some(&b'/') {
            return Err(PathError::Absolute);
        }
        while let Some(shorter) = name.strip_suffix(b"/") {
            name = shorter;
        }
        if name.is_empty() {
            return Err(PathError::Empty);
        }
        if name.len() > MAX_PATH {
            return Err(PathError::TooLong);
        }
        if name.iter().any(u8::is_ascii_control) {
            return Err(PathError::Control);
        }
        for component in name.split(|&b| b == b'/') {
            check_component(component)?;
        }
        Ok(Self(name.into()))
    }

    /// The bytes, without a slash at either end.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The directory that holds it; none for an entry of the root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let slash = self.0.iter().rposition(|&b| b == b'/')?;
        self.0.get(..slash).map(|parent| Self(parent.into()))
    }

    #[must_use]
    pub fn name(&self) -> &[u8] {
        self.0.rsplit(|&b| b == b'/').next().unwrap_or_default()
    }

    /// `name` inside the directory `parent`, or in the root without one. The name comes from a checked path.
    pub(crate) fn join(parent: Option<&Self>, name: &[u8]) -> Self {
        match parent {
            None => Self(name.into()),
            Some(parent) => Self([parent.as_bytes(), b"/", name].concat().into()),
        }
    }

    /// The components, from the root down.
    #[must_use]
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.0.split(|&b| b == b'/')
    }
}

fn check_component(component: &[u8]) -> Result<(), PathError> {
    match component {
        b"" | b"." => Err(PathError::NotNormal),
        b".." => Err(PathError::DotDot),
        name if name.starts_with(b".wh.") => Err(PathError::Whiteout),
        name if name.len() > MAX_NAME => Err(PathError::TooLong),
        _ => Ok(()),
    }
}

impl fmt::Display for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

impl fmt::Debug for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_are_refused_each_for_its_reason() {
        let long_name = "n".repeat(256);
        let long_path = "d/".repeat(2048) + "f";
        for (name, why) in [
            ("", PathError::Empty),
            ("/etc/passwd", PathError::Absolute),
            ("//", PathError::Absolute),
            ("../escape", PathError::DotDot),
            ("etc/../../escape", PathError::DotDot),
            ("etc/..", PathError::DotDot),
            ("./etc", PathError::NotNormal),
            ("etc/./motd", PathError::NotNormal),
            ("etc//motd", PathError::NotNormal),
            ("etc/mo\0td", PathError::Control),
            ("etc/mo\ntd", PathError::Control),
            ("etc/.wh.motd", PathError::Whiteout),
            ("etc/.wh..wh..opq", PathError::Whiteout),
            (&long_name, PathError::TooLong),
            (&long_path, PathError::TooLong),
        ] {
            assert_eq!(TreePath::new(name), Err(why), "{name:.40}");
        }
    }

    #[test]
    fn usual_and_odd_names_are_taken() {
        for name in ["etc", "etc/", "usr/bin/[", "a b", "etc/.hidden", "..a", "é", &"n".repeat(255)] {
            assert!(TreePath::new(name).is_ok(), "{name}");
        }
        assert!(TreePath::new([b'a', 0xff]).is_ok());
    }

    #[test]
    fn parents_sort_before_what_is_in_them() {
        let path = |name: &str| TreePath::new(name).unwrap();
        assert!(path("a") < path("a-b") && path("a") < path("a/b"));
        assert_eq!(path("a/b/c").parent(), Some(path("a/b")));
        assert_eq!(path("a").parent(), None);
        assert_eq!(path("a/b/c").name(), b"c");
    }
}
