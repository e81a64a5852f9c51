//! The list of domains in `mailimg.toml`, edited so that the rest of the file stays as its owner wrote it.

use std::os::unix::fs::PermissionsExt as _;

use camino::{Utf8Path, Utf8PathBuf};
use toml_edit::{Array, DocumentMut, Item, Value};

use crate::config::{ConfigError, DomainName, Project, ReadError, TOML_LIMIT};
use crate::store::{WriteError, write_atomic};

const KEY: &str = "domains";

/// Why the list could not be changed.
#[derive(Debug, thiserror::Error)]
pub enum DomainsError {
    /// The project can't be read.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The file can't be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The file can't be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The list is not in a form that can be edited.
    #[error("can't edit `domains` in {path}")]
    NotEditable { path: Utf8PathBuf },
    /// The primary domain can't be taken out.
    #[error("{domain} is the site's primary domain, the first in its list")]
    Primary { domain: DomainName },
    /// The site's postmaster has an address in it.
    #[error("{postmaster}, who gets mail for postmaster@ and abuse@ of every domain, has an address in {domain}")]
    Postmaster { domain: DomainName, postmaster: String },
}

/// Adds a domain to the list, at its end. Returns whether it is new.
pub fn add(project: &Project, domain: &DomainName) -> Result<bool, DomainsError> {
    if project.site().domains.contains(domain) {
        return Ok(false);
    }
    edit(project, |domains| append(domains, domain.as_str()))?;
    Ok(true)
}

/// Takes a domain out of the list. Returns whether it was there.
pub fn remove(project: &Project, domain: &DomainName) -> Result<bool, DomainsError> {
    let site = project.site();
    let Some(position) = site.domains.iter().position(|it| it == domain) else { return Ok(false) };
    if position == 0 {
        return Err(DomainsError::Primary { domain: domain.clone() });
    }
    if let Some(postmaster) = site.postmaster.as_ref().filter(|postmaster| postmaster.domain() == domain) {
        return Err(DomainsError::Postmaster { domain: domain.clone(), postmaster: postmaster.to_string() });
    }
    edit(project, |domains| take(domains, position))?;
    Ok(true)
}

fn edit(project: &Project, change: impl FnOnce(&mut Array)) -> Result<(), DomainsError> {
    let named = project.site_file();
    let read = |source| ReadError::Io { path: named.clone(), source };
    // A link stays one.
    let path = named.canonicalize_utf8().map_err(read)?;
    let text = project.files().read_text(&named, TOML_LIMIT)?;
    let mode = std::fs::metadata(&path).map_err(read)?.permissions().mode();
    let edited = edited(&text, change).ok_or(DomainsError::NotEditable { path: named.clone() })?;
    Ok(write_atomic(Utf8Path::new(&path), edited, mode & 0o7777)?)
}

fn edited(text: &str, change: impl FnOnce(&mut Array)) -> Option<String> {
    let mut document: DocumentMut = text.parse().ok()?;
    let item = document.entry(KEY).or_insert(Item::Value(Value::Array(Array::new())));
    change(item.as_array_mut()?);
    Some(document.to_string())
}

/// Appends a value in the style of the last one: on a line of its own if that is, and with a comma if that has one.
fn append(array: &mut Array, text: &str) {
    let mut value = Value::from(text);
    let count = array.len();
    if let Some(last) = count.checked_sub(1).and_then(|last| array.get_mut(last)) {
        let prefix = prefix(last);
        let indent =
            prefix.rfind('\n').map_or_else(|| " ".to_owned(), |line| prefix.get(line..).unwrap_or("").to_owned());
        let after = suffix(last);
        if let Some((comment, end)) = at_line_end(&after) {
            *value.decor_mut() = toml_edit::Decor::new(format!("{comment}{indent}"), end);
        } else {
            *value.decor_mut() = toml_edit::Decor::new(indent, after);
        }
        last.decor_mut().set_suffix("");
    }
    if array.trailing_comma() {
        // What follows the last comma is the comment of the last value.
        let trailing = array.trailing().as_str().unwrap_or_default().to_owned();
        if let Some((comment, end)) = at_line_end(&trailing) {
            let indent = prefix(&value);
            value.decor_mut().set_prefix(format!("{comment}{indent}"));
            array.set_trailing(end);
        }
    }
    array.push_formatted(value);
}

/// Removes a value and the comments that belong to it: those above it, and the one on its line.
fn take(array: &mut Array, position: usize) {
    let removed = array.remove(position);
    let before = prefix(&removed);
    let comment_of_previous = at_line_end(&before).map_or("", |(comment, _)| comment);
    let rest = |after: &str| match at_line_end(after) {
        Some((_, end)) => format!("{comment_of_previous}{end}"),
        None => before.clone(),
    };
    if let Some(next) = array.get_mut(position) {
        let after = prefix(next);
        let joined = rest(&after);
        next.decor_mut().set_prefix(joined);
    } else if array.trailing_comma() {
        let after = array.trailing().as_str().unwrap_or_default().to_owned();
        if at_line_end(&after).is_some() {
            array.set_trailing(rest(&after));
        }
    } else if let Some(last) = array.len().checked_sub(1).and_then(|last| array.get_mut(last)) {
        let after = suffix(&removed);
        let joined = at_line_end(&after).map_or(after.clone(), |(_, end)| format!("{comment_of_previous}{end}"));
        last.decor_mut().set_suffix(joined);
    }
}

fn prefix(value: &Value) -> String {
    value.decor().prefix().and_then(|text| text.as_str()).unwrap_or_default().to_owned()
}

fn suffix(value: &Value) -> String {
    value.decor().suffix().and_then(|text| text.as_str()).unwrap_or_default().to_owned()
}

/// The rest of a line, and what comes after it.
fn at_line_end(text: &str) -> Option<(&str, &str)> {
    text.find('\n').and_then(|end| text.split_at_checked(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn added(text: &str) -> String {
        edited(text, |domains| append(domains, "new.example")).unwrap()
    }

    fn removed(text: &str, position: usize) -> String {
        edited(text, |domains| take(domains, position)).unwrap()
    }

    #[test]
    fn a_list_on_one_line_stays_on_it() {
        let text = "# Ours.\ndomains = [\"a.example\"] # primary first\nimages = []\n";
        let with = "# Ours.\ndomains = [\"a.example\", \"new.example\"] # primary first\nimages = []\n";
        assert_eq!(added(text), with);
        assert_eq!(removed(with, 1), text);
        assert_eq!(added("domains = [ 'a.example' ]\n"), "domains = [ 'a.example', \"new.example\" ]\n");
        assert_eq!(removed("domains = [ 'a.b', 'c.d' ]\n", 1), "domains = [ 'a.b' ]\n");
        assert_eq!(removed("domains = ['a.b', 'c.d', 'e.f']\n", 1), "domains = ['a.b', 'e.f']\n");
    }

    #[test]
    fn a_list_on_several_lines_keeps_its_comments() {
        let text = "domains = [\n    \"a.example\", # the first\n    # below\n    \"b.example\", # the second\n]\n";
        let with = "domains = [\n    \"a.example\", # the first\n    # below\n    \"b.example\", # the second\n    \
                    \"new.example\",\n]\n";
        assert_eq!(added(text), with);
        assert_eq!(removed(with, 2), text);
        assert_eq!(removed(text, 1), "domains = [\n    \"a.example\", # the first\n]\n");
        assert_eq!(removed(with, 1), "domains = [\n    \"a.example\", # the first\n    \"new.example\",\n]\n");
    }

    #[test]
    fn a_list_without_a_last_comma_gets_none() {
        let text = "domains = [\n  \"a.example\",\n  \"b.example\" # the second\n]\n";
        let with = "domains = [\n  \"a.example\",\n  \"b.example\", # the second\n  \"new.example\"\n]\n";
        assert_eq!(added(text), with);
        assert_eq!(removed(with, 2), text);
        assert_eq!(removed(text, 1), "domains = [\n  \"a.example\"\n]\n");
    }

    #[test]
    fn a_list_that_is_not_there_is_made() {
        assert_eq!(added("images = []\n\n[tls]\n"), "images = []\ndomains = [\"new.example\"]\n\n[tls]\n");
        assert_eq!(edited("domains = 1\n", |_| {}), None);
    }
}
