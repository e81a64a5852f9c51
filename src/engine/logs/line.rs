/// A line that a service logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// RFC 3339 in UTC, with a fraction of a second.
    pub time: String,
    pub service: String,
    pub text: String,
}

/// Reads `2026-11-26T10:48:55.123456Z text`.
pub(super) fn kept_line(service: &str, line: &str) -> Option<LogLine> {
    let (time, text) = line.split_once(' ').unwrap_or((line, ""));
    is_time(time).then(|| LogLine { time: time.to_owned(), service: service.to_owned(), text: text.to_owned() })
}

/// Reads `postfix-1  | 2026-11-26T10:48:55.123456789Z text`. Compose's own remarks are none.
pub(super) fn printed_line(line: &str) -> Option<LogLine> {
    let (container, rest) = line.split_once(" | ")?;
    // Some versions of compose write terminal codes even without a terminal.
    let container = container.trim().trim_start_matches("\u{1b}[2K");
    let service = container.rsplit_once(['-', '_']).map_or(container, |(service, _)| service);
    kept_line(service, rest)
}

fn is_time(text: &str) -> bool {
    let is_part = |it: u8| it.is_ascii_digit() || b"-T:.Z".contains(&it);
    text.len() >= 20 && text.ends_with('Z') && text.as_bytes().get(10) == Some(&b'T') && text.bytes().all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_compose_are_taken_apart() {
        let line = printed_line("\u{1b}[2Kpostfix-1  | 2026-11-26T10:48:55.123456789Z Nov 26 a | b").unwrap();
        assert_eq!((line.service.as_str(), line.text.as_str()), ("postfix", "Nov 26 a | b"));
        assert_eq!(line.time, "2026-11-26T10:48:55.123456789Z");
        let older = printed_line("my-mail_1     | 2026-11-26T10:48:55.123456789Z").unwrap();
        assert_eq!((older.service.as_str(), older.text.as_str()), ("my-mail", ""));
        for none in ["a | 2026-11-26T10:48:55\u{1b}Z x", "Attaching to postfix_1", "postfix-1  | no time", ""] {
            assert_eq!(printed_line(none), None, "{none:?}");
        }
    }
}
