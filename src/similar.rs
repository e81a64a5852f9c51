//! "Did you mean …?": known names that look like an unknown one.

/// Most names that are worth naming.
const LIMIT: usize = 3;

/// The names, of those that are there, that are most like `name`: the same but for trailing numbers (`so:libfoo.so.2`
/// and `so:libfoo.so.3`), or a slip of the finger away.
#[must_use]
pub fn similar<'a>(name: &str, there: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let slips = name.chars().count() / 4;
    let mut found: Vec<(usize, &str)> = Vec::new();
    for other in there {
        let distance = if stem(other) == stem(name) { Some(0) } else { distance(name, other, slips.min(2)) };
        found.extend(distance.map(|distance| (distance, other)));
    }
    found.sort_unstable();
    found.into_iter().take(LIMIT).map(|(_, other)| other).collect()
}

/// A name without the numbers that it ends with.
fn stem(name: &str) -> &str {
    name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.')
}

/// How many letters to add, take away or change, if no more than `limit`.
fn distance(a: &str, b: &str, limit: usize) -> Option<usize> {
    if limit == 0 || a.len().abs_diff(b.len()) > limit || a.len() > 100 {
        return None;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (number, byte) in a.bytes().enumerate() {
        let mut next = vec![number + 1];
        for (pair, other) in row.windows(2).zip(b.bytes()) {
            let &[diagonal, above] = pair else { continue };
            let left = next.last().copied().unwrap_or_default();
            next.push((diagonal + usize::from(byte != other)).min(above + 1).min(left + 1));
        }
        row = next;
    }
    row.last().copied().filter(|distance| *distance <= limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_other_versions_and_slips() {
        let there = ["so:libfoo.so.3", "so:libfoobar.so.3", "postfix", "postfix-mysql", "dovecot", "php84", "php83"];
        for (name, want) in [
            ("so:libfoo.so.2", &["so:libfoo.so.3"][..]),
            ("posftix", &[]),
            ("postfixx", &["postfix"]),
            ("php82", &["php83", "php84"]),
            ("dovcot", &["dovecot"]),
            ("sl", &[]),
        ] {
            assert_eq!(similar(name, there.into_iter()), want, "{name}");
        }
    }
}
