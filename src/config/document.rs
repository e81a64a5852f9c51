use std::fmt::Write as _;
use std::ops::Range;

use camino::{Utf8Path, Utf8PathBuf};
use serde::de::DeserializeOwned;
use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, Wrong};
use crate::similar::similar;

/// A TOML file in memory, able to say where a key is.
#[derive(Debug)]
pub(super) struct Document {
    path: Utf8PathBuf,
    text: String,
}

/// One step from a value to a part of it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

impl Document {
    pub(super) fn read(path: &Utf8Path) -> Result<Self, ConfigError> {
        let text =
            fs_err::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), text })
    }

    /// The typed content. An unknown key is an error.
    pub(super) fn parse<T: DeserializeOwned>(&self) -> Result<T, ConfigError> {
        toml::from_str(&self.text).map_err(|error| self.explain(&error).into())
    }

    /// Says that the value at `steps` is wrong.
    pub(super) fn wrong(&self, steps: &[Step<'_>], message: impl Into<String>) -> Box<Wrong> {
        let span = DeTable::parse(&self.text).ok().and_then(|table| find(table.get_ref(), steps)).unwrap_or(0..0);
        Wrong::at_span(&self.path, &self.text, span, message.into()).key(Some(dotted(steps)))
    }

    fn explain(&self, error: &toml::de::Error) -> Box<Wrong> {
        let span = error.span().unwrap_or(0..0);
        let key = DeTable::parse(&self.text).ok().and_then(|table| enclosing_table(table.get_ref(), &span));
        let wrong = |message: String| Wrong::at_span(&self.path, &self.text, span.clone(), message).key(key);
        let Some((unknown, known)) = unknown_key(error.message()) else {
            return wrong(error.message().trim_end().to_owned());
        };
        let advice = similar(unknown, known.iter().copied()).first().map_or_else(
            || format!("keys known here: {}", known.join(", ")),
            |name| format!("did you mean {name}? Keys known here: {}", known.join(", ")),
        );
        wrong(format!("unknown key {unknown:?}")).advice(Some(advice))
    }
}

/// Takes serde's sentence on an unknown field or variant apart.
fn unknown_key(message: &str) -> Option<(&str, Vec<&str>)> {
    let rest = message.strip_prefix("unknown field `")?;
    let (unknown, rest) = rest.split_once('`')?;
    let known = rest.split('`').skip(1).step_by(2).collect();
    Some((unknown, known))
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
        // A value that a default supplied: its table is the nearest place.
        let Some(inner) = inner else { break };
        span = inner.span();
        value = inner.get_ref();
    }
    Some(span)
}

/// The dotted key of the innermost value that holds `span`.
fn enclosing_table(table: &DeTable<'_>, span: &Range<usize>) -> Option<String> {
    let mut key = String::new();
    descend(table, span, &mut key);
    (!key.is_empty()).then_some(key)
}

fn descend(table: &DeTable<'_>, span: &Range<usize>, key: &mut String) {
    let held = |outer: Range<usize>| outer.start <= span.start && span.end <= outer.end;
    for (name, value) in table {
        // The header of `[limits]` is all that the span of its table covers, so look inside in any case.
        if held(name.span()) || held(value.span()) || holds(value.get_ref(), span) {
            if !key.is_empty() {
                key.push('.');
            }
            key.push_str(name.get_ref());
            return descend_value(value.get_ref(), span, key);
        }
    }
}

fn descend_value(value: &DeValue<'_>, span: &Range<usize>, key: &mut String) {
    match value {
        DeValue::Table(table) => descend(table, span, key),
        DeValue::Array(array) => {
            let at = array.iter().position(|item| {
                (item.span().start <= span.start && span.end <= item.span().end) || holds(item.get_ref(), span)
            });
            if let Some((index, item)) = at.and_then(|index| Some((index, array.get(index)?))) {
                let _ = write!(key, "[{index}]");
                descend_value(item.get_ref(), span, key);
            }
        }
        _ => {}
    }
}

/// Whether some key or value inside `value` covers `span`.
fn holds(value: &DeValue<'_>, span: &Range<usize>) -> bool {
    let held = |outer: Range<usize>| outer.start <= span.start && span.end <= outer.end;
    match value {
        DeValue::Table(table) => {
            table.iter().any(|(name, value)| held(name.span()) || held(value.span()) || holds(value.get_ref(), span))
        }
        DeValue::Array(array) => array.iter().any(|item| held(item.span()) || holds(item.get_ref(), span)),
        _ => false,
    }
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
