use std::fmt::Write as _;
use std::ops::Range;

use camino::{Utf8Path, Utf8PathBuf};
use serde::de::DeserializeOwned;
use serde_path_to_error::{Path, Segment};
use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, Wrong};
use super::fields::fields_at;
use super::files::Files;
use crate::similar::similar;

/// The longest TOML file, in bytes. Those that people write have a few kilobytes.
pub const TOML_LIMIT: u64 = 1024 * 1024;

/// A TOML file in memory that knows the positions of keys.
#[derive(Debug)]
pub(super) struct Document {
    path: Utf8PathBuf,
    text: String,
}

/// A step from a value to one of its parts.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

impl Document {
    pub(super) fn read(files: &Files, path: &Utf8Path) -> Result<Self, ConfigError> {
        Ok(Self { path: path.to_owned(), text: files.read_text(path, TOML_LIMIT)? })
    }

    /// Like [`read`](Self::read), for a file that need not exist.
    pub(super) fn read_if_there(files: &Files, path: &Utf8Path) -> Result<Option<Self>, ConfigError> {
        match Self::read(files, path) {
            Err(ConfigError::Read(error)) if error.is_missing() => Ok(None),
            other => other.map(Some),
        }
    }

    /// The typed content. An unknown key is an error.
    pub(super) fn parse<T: DeserializeOwned>(&self) -> Result<T, ConfigError> {
        let parser = toml::Deserializer::parse(&self.text).map_err(|error| self.explain(&error, &[], None))?;
        serde_path_to_error::deserialize(parser).map_err(|error| {
            let steps = steps(error.path());
            self.explain(error.inner(), &steps, unknown_key::<T>(&steps).as_ref()).into()
        })
    }

    /// An error about the value at `steps`.
    pub(super) fn wrong(&self, steps: &[Step<'_>], message: impl Into<String>) -> Box<Wrong> {
        let span = DeTable::parse(&self.text).ok().and_then(|table| find(table.get_ref(), steps)).unwrap_or(0..0);
        Wrong::at_span(&self.path, &self.text, span, message.into()).key(Some(dotted(steps)))
    }

    fn explain(&self, error: &toml::de::Error, steps: &[Step<'_>], unknown: Option<&Unknown<'_>>) -> Box<Wrong> {
        let of_value = || DeTable::parse(&self.text).ok().and_then(|table| find(table.get_ref(), steps));
        let (span, message, advice) = match unknown {
            Some(Unknown { key, known }) => {
                let known_here = format!("the keys allowed here are: {}", known.join(", "));
                let advice = match similar(key, known.iter().copied()).first() {
                    Some(name) => format!("did you mean {name}? Otherwise, {known_here}"),
                    None => known_here,
                };
                (error.span(), format!("unknown key {key:?}"), Some(advice))
            }
            None => (of_value().or_else(|| error.span()), error.message().trim_end().to_owned(), None),
        };
        let key = Some(dotted(steps)).filter(|key| !key.is_empty());
        Wrong::at_span(&self.path, &self.text, span.unwrap_or(0..0), message).key(key).advice(advice)
    }
}

/// A key that its table can't have.
struct Unknown<'a> {
    key: &'a str,
    /// The keys that it can have.
    known: &'static [&'static str],
}

/// Whether an error at `steps` is about an unknown key.
fn unknown_key<'a, T: DeserializeOwned>(steps: &[Step<'a>]) -> Option<Unknown<'a>> {
    let (Step::Key(key), table) = steps.split_last()? else { return None };
    let known = fields_at::<T>(table);
    (!known.is_empty() && !known.contains(key)).then_some(Unknown { key, known })
}

fn steps(path: &Path) -> Vec<Step<'_>> {
    path.iter()
        .filter_map(|segment| match segment {
            Segment::Map { key } | Segment::Enum { variant: key } => Some(Step::Key(key)),
            Segment::Seq { index } => Some(Step::Index(*index)),
            Segment::Unknown => None,
        })
        .collect()
}

fn find(table: &DeTable<'_>, steps: &[Step<'_>]) -> Option<Range<usize>> {
    let (first, rest) = steps.split_first()?;
    let Step::Key(key) = first else { return None };
    let value = table.get(*key)?;
    let mut span = value.span();
    let mut value = value.get_ref();
    for step in rest {
        let inner = match (step, value) {
            (Step::Key(key), DeValue::Table(table)) => table.get(*key),
            (Step::Index(index), DeValue::Array(array)) => array.get(*index),
            _ => None,
        };
        // For a default value, point at its table.
        let Some(inner) = inner else { break };
        span = inner.span();
        value = inner.get_ref();
    }
    Some(span)
}

fn dotted(steps: &[Step<'_>]) -> String {
    let mut key = String::new();
    for step in steps {
        match step {
            Step::Key(name) => {
                if !key.is_empty() {
                    key.push('.');
                }
                key.push_str(name);
            }
            Step::Index(index) => {
                let _ = write!(key, "[{index}]");
            }
        }
    }
    key
}
