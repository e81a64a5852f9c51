use std::fmt;

use camino::{Utf8Path, Utf8PathBuf};

use super::hide_credentials;

use super::Role;

/// Why a project could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// There is no `mailimg.toml`.
    #[error("{directory} is not a mailimg project: it has no mailimg.toml")]
    NoProject { directory: Utf8PathBuf },
    /// A file could not be read.
    #[error("can't read {path}")]
    Read { path: Utf8PathBuf, source: std::io::Error },
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
    /// The line in the file.
    excerpt: String,
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
        let excerpt = hide_credentials(text.lines().nth(line.saturating_sub(1)).unwrap_or_default());
        Box::new(Self { path: path.to_owned(), line, column, key: None, message, advice: None, excerpt, width: 1 })
    }

    fn width(mut self: Box<Self>, width: usize) -> Box<Self> {
        self.width = width.max(1);
        self
    }

    pub(super) fn key(mut self: Box<Self>, key: Option<String>) -> Box<Self> {
        self.key = key;
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
        // A tab would put the caret in the wrong column.
        let excerpt = self.excerpt.replace('\t', " ");
        let room = excerpt.chars().count().saturating_sub(self.column.saturating_sub(1)).max(1);
        let caret = "^".repeat(self.width.min(room));
        writeln!(f, "{margin} |\n{number} | {excerpt}")?;
        write!(f, "{margin} | {}{caret}", " ".repeat(self.column.saturating_sub(1)))
    }
}

impl From<Box<Wrong>> for ConfigError {
    fn from(wrong: Box<Wrong>) -> Self {
        Self::Wrong(wrong)
    }
}
