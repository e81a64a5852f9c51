//! Licences: from Debian's machine-readable copyright files (DEP-5) to SPDX expressions.

use std::collections::{BTreeMap, BTreeSet};

use super::control::Paragraph;

/// The sorted short names of the licences of all files except Debian's own. Empty if the file is not machine-readable.
#[must_use]
pub(super) fn short_names(copyright: &str) -> Vec<String> {
    let paragraphs = Paragraph::parse_all(copyright);
    let format = paragraphs.first().and_then(|header| header.get("Format")).unwrap_or_default();
    if !format.contains("copyright-format") {
        return Vec::new();
    }
    let of_debian = |files: &str| files.split_whitespace().all(|pattern| pattern.starts_with("debian/"));
    let names: BTreeSet<&str> = paragraphs
        .iter()
        .filter(|paragraph| paragraph.get("Files").is_some_and(|files| !of_debian(files)))
        .filter_map(|paragraph| paragraph.first_line("License"))
        .filter(|name| !name.is_empty())
        .collect();
    names.into_iter().map(str::to_owned).collect()
}

/// The SPDX expression for a package under all of these licences. `known` maps short names that the usual rules
/// (`GPL-2+` is `GPL-2.0-or-later`) don't cover.
#[must_use]
pub(super) fn expression(short_names: &[String], known: &BTreeMap<String, String>) -> Option<String> {
    let all: BTreeSet<String> = short_names.iter().flat_map(|name| conjuncts(name, known)).collect();
    (!all.is_empty()).then(|| all.into_iter().collect::<Vec<_>>().join(" AND "))
}

/// `GPL-2+ or Expat, and BSD-3-clause` is `(GPL-2.0-or-later OR MIT)` and `BSD-3-Clause`.
fn conjuncts(name: &str, known: &BTreeMap<String, String>) -> Vec<String> {
    let one = |choice: &str| {
        let mut choices: Vec<String> = choice.split(" or ").map(|name| spdx(name.trim(), known)).collect();
        choices.sort();
        choices.dedup();
        match &choices[..] {
            [only] => only.clone(),
            _ => format!("({})", choices.join(" OR ")),
        }
    };
    let name = name.replace(", and ", " and ").replace(',', " and ").replace('|', " or ");
    name.split(" and ").filter(|part| !part.trim().is_empty()).map(one).collect()
}

fn spdx(name: &str, known: &BTreeMap<String, String>) -> String {
    if let Some(expression) = known.get(name) {
        return expression.clone();
    }
    let (plain, exception) = name.split_once(" with ").map_or((name, false), |(plain, _)| (plain, true));
    let (base, later) = plain.strip_suffix('+').map_or((plain, false), |base| (base, true));
    if !exception
        && let Some((family @ ("GPL" | "LGPL" | "AGPL" | "GFDL"), version)) = base.split_once('-')
        && version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
    {
        let version = if version.contains('.') { version.to_owned() } else { format!("{version}.0") };
        return format!("{family}-{version}-{}", if later { "or-later" } else { "only" });
    }
    let spdx = match name.to_ascii_lowercase().as_str() {
        "expat" | "mit" => "MIT",
        "bsd-2-clause" => "BSD-2-Clause",
        "bsd-3-clause" => "BSD-3-Clause",
        "bsd-4-clause" => "BSD-4-Clause",
        "apache-2" | "apache-2.0" => "Apache-2.0",
        "isc" => "ISC",
        "zlib" => "Zlib",
        "mpl-2.0" => "MPL-2.0",
        "cc0" | "cc0-1.0" => "CC0-1.0",
        "artistic" => "Artistic-1.0-Perl",
        "openssl" => "OpenSSL",
        "unlicense" => "Unlicense",
        _ => return reference(name),
    };
    spdx.to_owned()
}

/// A licence without an SPDX name, whose text is in the package's copyright file.
fn reference(name: &str) -> String {
    let mut plain: String = name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).collect();
    while plain.contains("--") {
        plain = plain.replace("--", "-");
    }
    format!("LicenseRef-debian-{}", plain.trim_matches('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expression_of(names: &[&str]) -> Option<String> {
        let known = BTreeMap::from([("IPL-1.0".to_owned(), "IPL-1.0".to_owned())]);
        expression(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>(), &known)
    }

    #[test]
    fn reads_machine_readable_files_only() {
        let text = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n\
                    Files: *\nLicense: GPL-2+\n text\n\nFiles: debian/*\nLicense: ISC\n\n\
                    Files: a b\nLicense: Expat or GPL-2+\n\nLicense: Expat\n text\n";
        assert_eq!(short_names(text), ["Expat or GPL-2+", "GPL-2+"]);
        assert!(short_names("This is libfoo.\n\nLicense: GPL\n").is_empty());
    }

    #[test]
    fn makes_spdx_expressions() {
        for (names, expected) in [
            (&["GPL-2+", "Expat or GPL-2+"][..], "(GPL-2.0-or-later OR MIT) AND GPL-2.0-or-later"),
            (&["LGPL-2.1"], "LGPL-2.1-only"),
            (&["BSD-3-clause and Apache-2.0"], "Apache-2.0 AND BSD-3-Clause"),
            (&["IPL-1.0"], "IPL-1.0"),
            (&["GPL-3+ with autoconf exception"], "LicenseRef-debian-GPL-3-with-autoconf-exception"),
            (&["public-domain"], "LicenseRef-debian-public-domain"),
        ] {
            assert_eq!(expression_of(names).as_deref(), Some(expected), "{names:?}");
        }
        assert_eq!(expression_of(&[]), None);
    }
}
