//! Path patterns of the mapping.

/// Whether `pattern` matches `path`. `*` matches anything but a slash, `**` anything. A pattern that ends with a slash
/// matches the directory itself and everything below it.
pub(super) fn matches(pattern: &str, path: &str) -> bool {
    match pattern.strip_suffix('/') {
        Some(directory) => {
            let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
            ends.filter_map(|end| path.get(..end)).any(|start| fits(directory.as_bytes(), start.as_bytes()))
        }
        None => fits(pattern.as_bytes(), path.as_bytes()),
    }
}

fn fits(pattern: &[u8], path: &[u8]) -> bool {
    match pattern {
        [] => path.is_empty(),
        [b'*', b'*', rest @ ..] => (0..=path.len()).any(|at| path.get(at..).is_some_and(|path| fits(rest, path))),
        [b'*', rest @ ..] => {
            let end = path.iter().position(|&byte| byte == b'/').unwrap_or(path.len());
            (0..=end).any(|at| path.get(at..).is_some_and(|path| fits(rest, path)))
        }
        [first, rest @ ..] => path.split_first().is_some_and(|(byte, path)| byte == first && fits(rest, path)),
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns() {
        for (pattern, path, expected) in [
            ("usr/share/man/", "usr/share/man", true),
            ("usr/share/man/", "usr/share/man/man1/a.1.gz", true),
            ("usr/share/man/", "usr/share/mandoc", false),
            ("usr/share/doc/*/copyright", "usr/share/doc/a/copyright", true),
            ("usr/share/doc/*/copyright", "usr/share/doc/a/b/copyright", false),
            ("usr/**/test/", "usr/lib/python3/test/a.py", true),
            ("**/*.a", "usr/lib/libz.a", true),
            ("usr/lib/*/", "usr/lib/systemd/system/a", true),
            ("usr/lib/*/", "usr/lib", false),
            ("etc/motd", "etc/motd.d", false),
        ] {
            assert_eq!(matches(pattern, path), expected, "{pattern} {path}");
        }
    }
}
