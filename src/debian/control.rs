//! Debian's control files: paragraphs of `Field: value` lines (Debian Policy 5.1).

use std::collections::BTreeMap;

/// A paragraph. Field names are case-insensitive.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Paragraph {
    fields: BTreeMap<String, String>,
}

impl Paragraph {
    /// The paragraphs of a file, in order. Lines that aren't fields are skipped, as dpkg does with comments.
    #[must_use]
    pub(super) fn parse_all(text: &str) -> Vec<Self> {
        let mut paragraphs = Vec::new();
        let mut current = Self::default();
        let mut last = String::new();
        for line in text.lines() {
            if line.trim().is_empty() {
                if !current.fields.is_empty() {
                    paragraphs.push(std::mem::take(&mut current));
                }
                last.clear();
            } else if line.starts_with([' ', '\t']) {
                if let Some(value) = current.fields.get_mut(&last) {
                    value.push('\n');
                    value.push_str(line.trim());
                }
            } else if let Some((name, value)) = line.split_once(':').filter(|_| !line.starts_with('#')) {
                last = name.to_ascii_lowercase();
                current.fields.insert(last.clone(), value.trim().to_owned());
            }
        }
        if !current.fields.is_empty() {
            paragraphs.push(current);
        }
        paragraphs
    }

    /// A field's value, including its continuation lines.
    #[must_use]
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.fields.get(&name.to_ascii_lowercase()).map(String::as_str)
    }

    /// The first line of a field's value.
    #[must_use]
    pub(super) fn first_line(&self, name: &str) -> Option<&str> {
        self.get(name)?.lines().next()
    }

    /// The package names in a dependency field, with alternatives in order: `a (>= 1), b | c` is `[[a], [b, c]]`.
    #[must_use]
    pub(super) fn relations(&self, name: &str) -> Vec<Vec<&str>> {
        let field = self.get(name).unwrap_or_default();
        let groups = field.split(',').map(str::trim).filter(|group| !group.is_empty());
        groups.map(|group| group.split('|').filter_map(package_name).collect()).collect()
    }
}

/// `libc6:amd64 (>= 2.38) [linux-any]` is `libc6`.
fn package_name(relation: &str) -> Option<&str> {
    let name = relation.trim().split([' ', '(', ':', '[']).next()?;
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_paragraphs_and_further_lines() {
        let text =
            "Package: a\nDescription: one\n two\n .\n three\n\n\n# comment\npackage: b\nDepends: c (>= 1) | d:any, e\n";
        let paragraphs = Paragraph::parse_all(text);
        assert_eq!(paragraphs.len(), 2);
        assert_eq!(paragraphs[0].get("description"), Some("one\ntwo\n.\nthree"));
        assert_eq!(paragraphs[0].first_line("Description"), Some("one"));
        assert_eq!(paragraphs[1].get("Package"), Some("b"));
        assert_eq!(paragraphs[1].relations("Depends"), [vec!["c", "d"], vec!["e"]]);
        assert!(paragraphs[1].relations("Pre-Depends").is_empty());
    }

    #[test]
    fn a_further_line_without_a_field_is_passed_over() {
        assert_eq!(Paragraph::parse_all(" lost\n\nPackage: a"), Paragraph::parse_all("Package: a"));
    }
}
