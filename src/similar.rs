//! "Did you mean …?": known names that look like an unknown one.

/// Most names that are worth offering.
const MOST: usize = 3;
/// Longest name that is compared letter by letter.
const LONGEST: usize = 100;

/// The known names most like `name`, the likeliest first: those that differ only in the number at the end
/// (`so:libfoo.so.2` and `so:libfoo.so.3`), then those a typing error or two away.
#[must_use]
pub fn similar<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let limit = if name.len() > LONGEST { 0 } else { (name.chars().count() / 3).min(2) };
    let mut found: Vec<(usize, &str)> = known
        .into_iter()
        .filter_map(|other| {
            let distance = if stem(other) == stem(name) { Some(0) } else { distance(name, other, limit) };
            distance.map(|distance| (distance, other))
        })
        .collect();
    found.sort_unstable();
    found.into_iter().take(MOST).map(|(_, other)| other).collect()
}

/// A name without the number at its end.
fn stem(name: &str) -> &str {
    name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.')
}

/// How many letters to add, remove, change or swap, unless it is more than `limit`.
fn distance(a: &str, b: &str, limit: usize) -> Option<usize> {
    // Comparing lengths first matters: a repository has tens of thousands of names.
    if a.chars().count().abs_diff(b.chars().count()) > limit {
        return None;
    }
    Some(strsim::osa_distance(a, b)).filter(|distance| *distance <= limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_other_versions_and_slips() {
        let known = ["so:libfoo.so.3", "so:libfoobar.so.3", "postfix", "postfix-mysql", "dovecot", "php84", "php83"];
        for (name, want) in [
            ("so:libfoo.so.2", &["so:libfoo.so.3"][..]),
            ("posftix", &["postfix"]),
            ("postfixx", &["postfix"]),
            ("php82", &["php83", "php84"]),
            ("dovcot", &["dovecot"]),
            ("exim", &[]),
            ("ph", &[]),
            (&"x".repeat(1 << 20), &[]),
        ] {
            assert_eq!(similar(name, known), want, "{name:.40}");
        }
        assert_eq!(similar("uri", ["url", "name"]), ["url"], "short keys have typing errors, too");
    }
}
