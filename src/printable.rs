//! Foreign text as it may be shown.
//!
//! What comes from a registry, a repository, a container or a project's files may control the terminal, turn the
//! direction of writing around or look like a message of mailimg's own. Here, and nowhere else, such text is made
//! harmless; `cli` passes all of its output through it.

use std::borrow::Cow;
use std::fmt::Write as _;

/// What our own lines on standard error begin with.
const OWN: [&str; 4] = ["error:", "because:", "warning:", "hint:"];

/// Whether a terminal may act on it, or shows nothing for it: control characters (C0, DEL, C1), controls of the writing
/// direction, separators of lines, and characters without a width that join nothing.
fn is_control(c: char) -> bool {
    let is_format = matches!(
        c,
        '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
    );
    c.is_control() || is_format
}

/// Text of several lines: all but tabs and line ends is escaped (`\u{1b}`).
#[must_use]
pub fn text(text: &str) -> Cow<'_, str> {
    escaped(text, |c| matches!(c, '\n' | '\t'))
}

/// One field of a line: nothing in it can end the field or the line.
#[must_use]
pub fn field(text: &str) -> Cow<'_, str> {
    escaped(text, |_| false)
}

/// Text on one line of at most so many characters, with `…` for the rest. White space becomes single spaces.
#[must_use]
pub fn line(text: &str, most: usize) -> String {
    // Enough that cutting, which comes last, has something to cut.
    let words = text.split_whitespace().flat_map(|word| [" ", word]).skip(1);
    let mut line = String::new();
    for word in words {
        line.push_str(&field(word));
        if line.len() > most.saturating_mul(4) {
            break;
        }
    }
    cut(line, most)
}

/// The first characters of a text, with `…` for the rest.
#[must_use]
pub fn cut(mut text: String, most: usize) -> String {
    if let Some((end, _)) = text.char_indices().nth(most) {
        text.truncate(end);
        text.push('…');
    }
    text
}

/// A message of several lines: escaped, and none of the lines after the first looks like one of our own.
#[must_use]
pub fn message(message: &str) -> String {
    apart(&text(message))
}

/// An entry of the log, like [`message`], but with the colours that the log's writer adds.
#[must_use]
pub fn log(entry: &str) -> String {
    apart(&escaped(entry, |c| matches!(c, '\n' | '\t' | '\u{1b}')))
}

fn apart(message: &str) -> String {
    let mut shown = String::new();
    for (number, line) in message.split('\n').enumerate() {
        if number > 0 {
            shown.push_str(if looks_own(line) { "\n| " } else { "\n" });
        }
        shown.push_str(line);
    }
    shown
}

fn looks_own(line: &str) -> bool {
    let line = line.trim_start_matches(|c: char| !c.is_alphanumeric());
    OWN.iter().any(|own| line.get(..own.len()).is_some_and(|start| start.eq_ignore_ascii_case(own)))
}

/// Text that need not be UTF-8, with the same lines and tabs.
#[must_use]
pub fn bytes(text: &[u8]) -> Vec<u8> {
    let mut shown = Vec::with_capacity(text.len());
    for chunk in text.utf8_chunks() {
        shown.extend_from_slice(self::text(chunk.valid()).as_bytes());
        for &byte in chunk.invalid() {
            // A terminal that doesn't expect UTF-8 takes these for controls.
            if (0x80..0xa0).contains(&byte) {
                shown.extend_from_slice(format!("\\x{byte:02x}").as_bytes());
            } else {
                shown.push(byte);
            }
        }
    }
    shown
}

/// JSON with the same meaning, in which strings escape what is escaped elsewhere.
#[must_use]
pub fn json(json: &str) -> Cow<'_, str> {
    if !json.chars().any(|c| is_control(c) && c != '\n') {
        return Cow::Borrowed(json);
    }
    let mut shown = String::with_capacity(json.len());
    for c in json.chars() {
        if is_control(c) && c != '\n' {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(shown, "\\u{unit:04x}");
            }
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

fn escaped(text: &str, stays: fn(char) -> bool) -> Cow<'_, str> {
    let is_bad = |c: char| is_control(c) && !stays(c);
    if !text.contains(is_bad) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    let mut letters = text.chars().peekable();
    while let Some(c) = letters.next() {
        if c == '\r' && stays('\n') && letters.peek() == Some(&'\n') {
            // The line end of other systems and of terminals.
        } else if is_bad(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_controls_a_terminal_is_shown_escaped() {
        assert_eq!(text("a\u{1b}]0;x\u{7}\tb\r\nc\rd"), "a\\u{1b}]0;x\\u{7}\tb\nc\\rd");
        assert_eq!(text("\u{9b}31m\u{7f}\0"), "\\u{9b}31m\\u{7f}\\u{0}");
        assert_eq!(text("user\u{202e}gpj.exe\u{2028}\u{feff}"), "user\\u{202e}gpj.exe\\u{2028}\\u{feff}");
        assert_eq!(field("a\tb\r\nc"), "a\\tb\\r\\nc");
        for usual in ["Grüße, 世界", "👩\u{200d}👩\u{200d}👧", "نمی\u{200c}خواهم", "tab\tand\nline"] {
            assert!(matches!(text(usual), Cow::Borrowed(same) if same == usual));
        }
    }

    #[test]
    fn a_line_is_short() {
        assert_eq!(line("550 no\r\n  550 \u{1b}[2Jsuch user\n", 80), "550 no 550 \\u{1b}[2Jsuch user");
        assert_eq!(line(&"é".repeat(1000), 10), format!("{}…", "é".repeat(10)));
        assert_eq!(line("", 10), "");
    }

    #[test]
    fn foreign_lines_do_not_look_like_ours() {
        assert_eq!(
            message("no\nerror: gone\n  Hint: run this\nhints: none\n"),
            "no\n| error: gone\n|   Hint: run this\nhints: none\n"
        );
        assert_eq!(message("x\r\n\u{200d}warning: y"), "x\n| \u{200d}warning: y");
    }

    #[test]
    fn text_need_not_be_utf_8() {
        assert_eq!(bytes(b"a\x1b\xff\x9b\xc2\x9b\n"), b"a\\u{1b}\xff\\x9b\\u{9b}\n");
    }

    proptest! {
        #[test]
        fn nothing_harmful_is_left(raw: String, most in 0..100_usize) {
            prop_assert!(!text(&raw).chars().any(|c| is_control(c) && !matches!(c, '\n' | '\t')));
            prop_assert!(!field(&raw).chars().any(is_control));
            let line = line(&raw, most);
            prop_assert!(!line.chars().any(is_control) && line.chars().count() <= most + 1);
            let once = text(&raw);
            prop_assert_eq!(&text(&once), &once);
            prop_assert_eq!(bytes(raw.as_bytes()), once.as_bytes());
            prop_assert!(!message(&raw).split('\n').skip(1).any(looks_own_at_start));
        }

        #[test]
        fn json_keeps_its_meaning(raw: String) {
            let plain = serde_json::to_string_pretty(&[&raw]).unwrap();
            let shown = json(&plain);
            prop_assert!(!shown.chars().any(|c| is_control(c) && c != '\n'));
            prop_assert_eq!(serde_json::from_str::<Vec<String>>(&shown).unwrap(), [raw]);
        }
    }

    fn looks_own_at_start(line: &str) -> bool {
        OWN.iter().any(|own| line.trim_start().to_ascii_lowercase().starts_with(own))
    }
}
