//! The log that a service keeps itself, in a volume.

use std::cmp::Reverse;
use std::io::{self, Read};

use super::line::{LogLine, kept_line};
use super::packed::Packed;
use crate::apk::tar::{Entries, TarError};
use crate::engine::RunError;
use crate::timestamp::Timestamp;

/// How far apart the times may be that the service and the engine note for the same line, in seconds.
const TOLERANCE: u64 = 30;

/// What a service has kept.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) lines: Packed,
    /// When the last line was written, or nothing.
    pub(super) last: String,
    /// Whether the line that the engine had last is among them.
    pub(super) is_current: bool,
}

/// The line that the engine had last, and between which times a service notes the same.
struct Newest {
    text: String,
    from: String,
    to: String,
}

impl Newest {
    fn new(line: &LogLine) -> Option<Self> {
        // The date and the time, without a fraction.
        let time: Timestamp = format!("{}Z", line.time.get(..19)?).parse().ok()?;
        let at = |seconds| Timestamp::from_unix(seconds).to_string();
        let (from, to) = (at(time.unix().saturating_sub(TOLERANCE)), at(time.unix() + TOLERANCE));
        Some(Self { text: line.text.clone(), from, to })
    }

    fn is(&self, line: &str) -> bool {
        let is_near = line > self.from.as_str() && line < self.to.as_str();
        is_near && kept_line("", line).is_some_and(|line| line.text == self.text)
    }
}

/// Reads an archive of the log's files, `log`, `log.1`, …, of which the last is the oldest. Leaves out lines before
/// `since`.
pub(super) fn read(archive: impl Read, since: &str, newest: Option<&LogLine>) -> Result<Kept, RunError> {
    let newest = newest.and_then(Newest::new);
    // The date and time have the same length, up to the fraction.
    let since = since.trim_end_matches('Z');
    let mut kept = Kept { is_current: newest.is_none(), ..Kept::default() };
    let mut entries = Entries::new(archive);
    let mut files = Vec::new();
    while let Some(entry) = entries.next().map_err(unreadable)? {
        let Some(age) = age(&entry.display_path()) else { continue };
        let lines = Packed::read(entries.content(), |line| {
            if line > kept.last.as_str() {
                line.split(' ').next().unwrap_or_default().clone_into(&mut kept.last);
            }
            kept.is_current = kept.is_current || newest.as_ref().is_some_and(|newest| newest.is(line));
            (line >= since).then_some(line)
        });
        files.push((age, lines?));
    }
    files.sort_by_key(|(age, _)| Reverse(*age));
    kept.lines = Packed::concat(files.into_iter().map(|(_, lines)| lines).collect())?;
    Ok(kept)
}

fn unreadable(error: TarError) -> RunError {
    RunError::Output(io::Error::other(error))
}

fn age(path: &str) -> Option<u32> {
    match path.rsplit_once("/log")? {
        (_, "") => Some(0),
        (_, age) => age.strip_prefix('.')?.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(files: &[(&str, &str)]) -> Vec<u8> {
        let mut archive = tar::Builder::new(Vec::new());
        for (name, text) in files {
            let mut header = tar::Header::new_ustar();
            header.set_size(text.len() as u64);
            header.set_mode(0o640);
            header.set_uid(0);
            header.set_gid(0);
            header.set_mtime(1);
            archive.append_data(&mut header, name, text.as_bytes()).unwrap();
        }
        archive.into_inner().unwrap()
    }

    fn line(time: &str, text: &str) -> LogLine {
        LogLine { time: time.to_owned(), service: "a".to_owned(), text: text.to_owned() }
    }

    const NEW: &str = "2026-11-26T10:48:55.123456Z new\n2026-11-26T10:48:56.123456Z newer\n";

    #[test]
    fn a_log_is_read_with_its_older_files() {
        let old = "2026-11-26T10:48:54.123456Z old\n";
        let archive = archive(&[("mailimg/log", NEW), ("mailimg/log.1", old), ("mailimg/other", old)]);
        let texts = |since: &str| {
            let kept = read(archive.as_slice(), since, None).unwrap();
            assert_eq!(kept.last, "2026-11-26T10:48:56.123456Z");
            kept.lines.lines("a").map(|line| line.text).collect::<Vec<_>>()
        };
        assert_eq!(texts(""), ["old", "new", "newer"]);
        assert_eq!(texts("2026-11-26T10:48:56Z"), ["newer"]);
    }

    #[test]
    fn a_log_is_current_if_it_has_the_engines_last_line() {
        let archive = archive(&[("mailimg/log", NEW)]);
        let is_current = |newest: &LogLine| read(archive.as_slice(), "", Some(newest)).unwrap().is_current;
        assert!(is_current(&line("2026-11-26T10:48:57.000000001Z", "newer")));
        assert!(!is_current(&line("2026-11-26T10:48:57.000000001Z", "newest")));
        // The same text, an hour later.
        assert!(!is_current(&line("2026-11-26T11:48:57.000000001Z", "newer")));
        assert!(read(archive.as_slice(), "", None).unwrap().is_current);
    }

    #[test]
    fn what_is_no_archive_is_told() {
        assert!(matches!(read(&[b'x'; 600][..], "", None), Err(RunError::Output(_))));
        let kept = read(&b""[..], "", None).unwrap();
        assert!(kept.last.is_empty());
    }
}
