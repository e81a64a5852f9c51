use std::fmt;

use camino::{Utf8Path, Utf8PathBuf};

use super::{ReadError, Role, hide_credentials};
use crate::printable;

/// Why a project could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// There is no `mailimg.toml`.
    #[error("{directory} is not a mailimg project: it has no mailimg.toml")]
    NoProject { directory: Utf8PathBuf },
    /// A file could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A file contains an error.
    #[error(transparent)]
    Wrong(Box<Wrong>),
    /// A file under `images/` can't be part of an image.
    #[error("{path} {reason}")]
    NotBakeable { path: Utf8PathBuf, reason: String },
    /// No recipe of that name.
    #[error("there is no image {name:?}; the recipes are {}", .known.join(", "))]
    UnknownImage { name: String, known: Vec<String> },
    /// No channel of that name.
    #[error("there is no channel {name:?}: {path} does not exist. The channels are {}", .known.join(", "))]
    UnknownChannel { name: String, path: Utf8PathBuf, known: Vec<String> },
    /// Not an architecture of the channel.
    #[error("channel {channel:?} doesn't support {arch}; it supports {}", .known.join(", "))]
    UnknownArch { channel: String, arch: String, known: Vec<String> },
    /// `mailimg.toml` lacks a value that not every site needs.
    #[error("{path} doesn't set `{key}`, which {user} needs")]
    Unset { path: Utf8PathBuf, key: &'static str, user: String },
    /// No image of the site, or more than one, has the role that a command needs.
    #[error(
        "{} `service.role = \"{role}\"`",
        match .found.as_slice() {
            [] => "none of the site's images has".to_owned(),
            found => format!("the images {} all have", found.join(", ")),
        }
    )]
    Role { role: Role, found: Vec<String> },
    /// The recipe cannot be locked against the channel.
    #[error("recipe {recipe} has no section [channel.{channel}], only sections for {}", .known.join(", "))]
    ForeignChannel { recipe: String, channel: String, known: Vec<String> },
}

/// How much of a line is shown, in characters: what fits on a line of a terminal, beside the line's number.
const EXCERPT_WIDTH: usize = 72;
/// How much of it is shown before the error.
const EXCERPT_BEFORE: usize = 40;
const LONGEST_MESSAGE: usize = 600;
const LONGEST_KEY: usize = 200;

/// What is shown of a line in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Excerpt {
    text: String,
    /// Where in it the error is, from 0.
    column: usize,
}

impl Excerpt {
    fn of(line: &str, column: usize) -> Self {
        // Stars take the places of letters one by one, so the column stays.
        let line = hide_credentials(line);
        let column = column.saturating_sub(1);
        let start = if line.chars().count() > EXCERPT_WIDTH { column.saturating_sub(EXCERPT_BEFORE) } else { 0 };
        let (mut text, mut at) = (String::new(), 0);
        if start > 0 {
            text.push('…');
        }
        for (index, letter) in line.chars().enumerate().skip(start) {
            if index == column {
                at = text.chars().count();
            }
            // A tab would put the mark in the wrong column.
            text.push(if letter == '\t' { ' ' } else { letter });
            if text.chars().count() >= EXCERPT_WIDTH {
                text.push('…');
                break;
            }
        }
        if line.chars().count() <= column {
            at = text.chars().count();
        }
        let before: String = text.chars().take(at).collect();
        Self { column: printable::field(&before).chars().count(), text: printable::field(&text).into_owned() }
    }
}

/// An error at a position in a file that people write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    pub path: Utf8PathBuf,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The dotted key (`limits.quota`, `user[2].group`) or template expression, if there is one.
    pub key: Option<String>,
    pub message: String,
    /// What to do about it.
    pub advice: Option<String>,
    excerpt: Excerpt,
    /// The number of characters to mark.
    width: usize,
}

impl Wrong {
    /// An error at a range of bytes in `text`, the content of `path`.
    pub(super) fn at_span(path: &Utf8Path, text: &str, span: std::ops::Range<usize>, message: String) -> Box<Self> {
        let before = text.get(..span.start).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let column = text.get(line_start..span.start).map_or(1, |part| part.chars().count() + 1);
        let width = text.get(span).and_then(|part| part.lines().next()).map_or(1, |part| part.chars().count());
        Self::at_line(path, text, (line, column), message).width(width)
    }

    /// An error at a line and column in `text`, the content of `path`.
    pub(super) fn at_line(path: &Utf8Path, text: &str, (line, column): (usize, usize), message: String) -> Box<Self> {
        let excerpt = Excerpt::of(text.lines().nth(line.saturating_sub(1)).unwrap_or_default(), column);
        // Parsers repeat values, which may be as long as the file.
        let message = printable::cut(message, LONGEST_MESSAGE);
        Box::new(Self { path: path.to_owned(), line, column, key: None, message, advice: None, excerpt, width: 1 })
    }

    fn width(mut self: Box<Self>, width: usize) -> Box<Self> {
        self.width = width.max(1);
        self
    }

    pub(super) fn key(mut self: Box<Self>, key: Option<String>) -> Box<Self> {
        self.key = key.map(|key| printable::line(&key, LONGEST_KEY));
        self
    }

    pub(super) fn advice(mut self: Box<Self>, advice: Option<String>) -> Box<Self> {
        self.advice = advice;
        self
    }
}

impl std::error::Error for Wrong {}

/// `file:line:column: key: message`, then the line with a caret below.
impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: ", self.path, self.line, self.column)?;
        if let Some(key) = &self.key {
            write!(f, "{key}: ")?;
        }
        writeln!(f, "{}", self.message)?;
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        let Excerpt { text, column } = &self.excerpt;
        let room = text.chars().count().saturating_sub(*column).max(1);
        let caret = "^".repeat(self.width.min(room));
        writeln!(f, "{margin} |\n{number} | {text}")?;
        write!(f, "{margin} | {}{caret}", " ".repeat(*column))
    }
}

impl From<Box<Wrong>> for ConfigError {
    fn from(wrong: Box<Wrong>) -> Self {
        Self::Wrong(wrong)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(line: &str, column: usize) -> Vec<String> {
        let wrong = Wrong::at_line(Utf8Path::new("x.toml"), line, (1, column), "is wrong".to_owned());
        wrong.to_string().split('\n').map(str::to_owned).collect()
    }

    #[test]
    fn a_short_line_is_shown_whole() {
        assert_eq!(shown("key\t= 1", 7), ["x.toml:1:7: is wrong", "  |", "1 | key = 1", "  |       ^"]);
    }

    #[test]
    fn a_long_line_is_cut_around_the_error() {
        let line = format!("{}HERE{}", "a".repeat(5000), "b".repeat(5000));
        let lines = shown(&line, 5001);
        let (excerpt, mark) = (&lines[2], &lines[3]);
        assert!(excerpt.starts_with("1 | …a") && excerpt.ends_with("b…"), "{excerpt}");
        assert!(excerpt.chars().count() < 80, "{excerpt}");
        assert_eq!(excerpt.find("HERE").map(|at| excerpt[..at].chars().count()), mark.find('^'), "{lines:?}");
    }

    #[test]
    fn what_controls_a_terminal_is_escaped() {
        let lines = shown("x = 1 \u{1b}]0;pwn\u{7} y", 16);
        assert_eq!(lines[2], "1 | x = 1 \\u{1b}]0;pwn\\u{7} y");
        assert_eq!(lines[3].find('^'), lines[2].find('y'));
    }

    #[test]
    fn messages_are_short() {
        let wrong = Wrong::at_line(Utf8Path::new("x"), "", (1, 1), "é".repeat(1 << 20)).key(Some("k".repeat(1 << 20)));
        assert!(wrong.to_string().len() < 3000);
    }

    proptest! {
        #[test]
        fn an_excerpt_is_one_line_of_the_screen(line in "[^\n]{0,300}", column in 0..400_usize) {
            let lines = shown(&line.replace(['\n', '\r'], " "), column);
            prop_assert_eq!(lines.len(), 4);
            // Each letter takes up to ten when it is escaped.
            prop_assert!(lines[2].chars().count() <= 4 + 10 * EXCERPT_WIDTH);
        }
    }
}
