//! The text of an index, and of a package's block in the installed database, as apk 2.14 writes them.

use std::fmt::{Display, Write};

use crate::apk::Package;

/// The text of an index. Packages stay in the order given.
#[must_use]
pub fn text<'a>(packages: impl IntoIterator<Item = &'a Package>) -> String {
    let mut out = String::new();
    for package in packages {
        block(&mut out, package);
        out.push('\n');
    }
    out
}

/// The fields of a package in an index.
pub(in crate::apk) fn block(out: &mut String, package: &Package) {
    optional(out, 'C', package.checksum.as_ref());
    field(out, 'P', &package.name);
    field(out, 'V', &package.version);
    field(out, 'A', &package.arch);
    field(out, 'S', &package.file_size.unwrap_or_default());
    field(out, 'I', &package.installed_size);
    field(out, 'T', &package.description);
    field(out, 'U', &package.url);
    field(out, 'L', &package.license);
    optional(out, 'o', package.origin.as_ref());
    optional(out, 'm', package.maintainer.as_ref());
    optional(out, 't', package.build_time.as_ref().filter(|time| **time > 0));
    optional(out, 'c', package.commit.as_ref());
    optional(out, 'k', package.provider_priority.as_ref().filter(|priority| **priority > 0));
    list(out, 'D', &package.depends);
    list(out, 'p', &package.provides);
    list(out, 'i', &package.install_if);
}

/// The fields that occur only in the installed database.
pub(in crate::apk) fn installed_fields(out: &mut String, package: &Package) {
    list(out, 'r', &package.replaces);
    optional(out, 'q', package.replaces_priority.as_ref().filter(|priority| **priority > 0));
}

fn field(out: &mut String, letter: char, value: &impl Display) {
    // A line break in a value could fake further fields. Writing to a string doesn't fail.
    let value = value.to_string();
    let value: Vec<_> = value.split(['\n', '\r', '\0']).collect();
    let _ = writeln!(out, "{letter}:{}", value.join(" "));
}

fn optional(out: &mut String, letter: char, value: Option<&impl Display>) {
    if let Some(value) = value {
        field(out, letter, value);
    }
}

fn list(out: &mut String, letter: char, values: &[impl Display]) {
    if !values.is_empty() {
        let values: Vec<_> = values.iter().map(ToString::to_string).collect();
        field(out, letter, &values.join(" "));
    }
}
