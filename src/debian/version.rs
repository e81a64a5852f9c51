//! Debian's versions: their order, and their conversion to apk's grammar, which keeps that order.
//!
//! Source of the comparison: Debian Policy 5.6.12 and `deb-version(7)`.

use std::cmp::Ordering;
use std::fmt;

/// A Debian package version, `[epoch:]upstream[-revision]`, with dpkg's order.
#[derive(Debug, Clone)]
pub(super) struct DebianVersion {
    text: String,
}

impl DebianVersion {
    /// Takes the text of a `Version` field.
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into() }
    }

    /// As Debian writes it.
    #[must_use]
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// The epoch, upstream version and revision, which may be missing.
    fn parts(&self) -> (u64, &str, Option<&str>) {
        let (epoch, rest) = match self.text.split_once(':') {
            Some((epoch, rest)) => (epoch.parse().unwrap_or(0), rest),
            None => (0, self.text.as_str()),
        };
        match rest.rsplit_once('-') {
            Some((upstream, revision)) => (epoch, upstream, Some(revision)),
            None => (epoch, rest, None),
        }
    }

    /// The same version in apk's grammar. Within an epoch, dpkg's order is kept, as long as a source doesn't change the
    /// style of what follows its numbers. Versions that differ only in a commit hash become equal.
    ///
    /// The epoch is dropped. Pre-releases (`~beta2`) become `_beta2`, snapshots `_git20250101`, anything else after the
    /// numbers `_p…`, and several numbers there `_p A BBBB CCCC`. The revision `N[.M][+deb13uU][+bB]` becomes the
    /// number `N MM UU BB`, two digits each: `3.10.5-1+deb13u2` is `3.10.5-r1000200`. The marker of a repacked source
    /// (`+dfsg`, `+dfsg1`, `+ds`) is dropped and its rank is put in front of that number, so that `+dfsg1-1` stays
    /// after `-5`: `2.4.1+dfsg1-6` is `2.4.1-r2006000000`.
    #[must_use]
    pub(super) fn to_apk(&self) -> String {
        let (_, upstream, revision) = self.parts();
        let (upstream, number) = if let Some(revision) = revision {
            (upstream, revision_number(revision))
        } else {
            let (upstream, rest) = split_native(upstream);
            (upstream, revision_number(&format!("0{rest}")))
        };
        let number = number.min(999_999_999) + repack_rank(upstream) * 1_000_000_000;
        format!("{}-r{number}", upstream_to_apk(upstream))
    }
}

impl fmt::Display for DebianVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for DebianVersion {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for DebianVersion {}

impl PartialOrd for DebianVersion {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for DebianVersion {
    fn cmp(&self, other: &Self) -> Ordering {
        let (epoch, upstream, revision) = self.parts();
        let (other_epoch, other_upstream, other_revision) = other.parts();
        epoch
            .cmp(&other_epoch)
            .then_with(|| compare(upstream, other_upstream))
            .then_with(|| compare(revision.unwrap_or("0"), other_revision.unwrap_or("0")))
    }
}

/// Compares non-digit and digit parts in turn.
fn compare(mut left: &str, mut right: &str) -> Ordering {
    while !left.is_empty() || !right.is_empty() {
        let (left_text, left_rest) = split_while(left, |c| !c.is_ascii_digit());
        let (right_text, right_rest) = split_while(right, |c| !c.is_ascii_digit());
        let (left_number, left_rest) = split_while(left_rest, |c| c.is_ascii_digit());
        let (right_number, right_rest) = split_while(right_rest, |c| c.is_ascii_digit());
        let order = weights(left_text)
            .cmp(weights(right_text))
            .then_with(|| compare_numbers(left_number.trim_start_matches('0'), right_number.trim_start_matches('0')));
        if order.is_ne() {
            return order;
        }
        (left, right) = (left_rest, right_rest);
    }
    Ordering::Equal
}

/// `~` sorts before the end of the text, then letters, then everything else.
fn weights(text: &str) -> impl Iterator<Item = u32> {
    let weight = |c: char| match c {
        '~' => 0,
        c if c.is_ascii_alphabetic() => u32::from(c),
        c => u32::from(c) + 256,
    };
    text.chars().map(weight).chain([1])
}

fn compare_numbers(left: &str, right: &str) -> Ordering {
    left.len().cmp(&right.len()).then_with(|| left.cmp(right))
}

fn split_while(text: &str, keep: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !keep(c)).unwrap_or(text.len()))
}

/// Splits off Debian's addition to a version without a revision: `13.8+deb13u2` is `13.8` and `+deb13u2`.
fn split_native(upstream: &str) -> (&str, &str) {
    let at = ["+deb", "~deb", "+b"].iter().filter_map(|mark| {
        let at = upstream.find(mark)?;
        let digit = upstream.get(at + mark.len()..)?.starts_with(|c: char| c.is_ascii_digit());
        digit.then_some(at)
    });
    upstream.split_at(at.min().unwrap_or(upstream.len()))
}

/// The number for a revision, `N MM UU BB`.
///
/// A rebuild for an older release (`2~deb13u1`) sorts before the revision itself: half a step of `M` is subtracted.
fn revision_number(revision: &str) -> u64 {
    let (main, mut rest) = take_number(revision);
    let mut number = main.min(999).saturating_mul(1_000_000);
    let before = number;
    while !rest.is_empty() {
        let (mark, after) = split_while(rest, |c| !c.is_ascii_digit());
        let (value, after) = take_number(after);
        let value = value.min(99);
        let (step, after) = match mark {
            "." => (value.saturating_mul(10_000), after),
            "+b" => (value, after),
            "~deb" | "+deb" | "deb" => {
                // The number after `deb` is the release; only the one after `u` counts.
                let (update, after) = take_number(after.strip_prefix('u').unwrap_or(after));
                if mark == "~deb" {
                    number = number.saturating_sub(5_000);
                }
                (update.min(49) * 100, after)
            }
            _ if mark.starts_with('~') => {
                number = number.saturating_sub(9_000);
                (value, after)
            }
            // Any other addition sorts after the plain revision and before its next update.
            _ => (50 + value.min(40), after),
        };
        number = number.saturating_add(step);
        rest = after;
    }
    if main == 0 { number } else { number.max(before - 10_000) }
}

fn take_number(text: &str) -> (u64, &str) {
    let (digits, rest) = split_while(text, |c| c.is_ascii_digit());
    (digits.parse().unwrap_or(0), rest)
}

/// 0 for an unmodified upstream source, otherwise the marker's rank in dpkg's order.
fn repack_rank(upstream: &str) -> u64 {
    let rank = |(mark, first): (&str, u64)| {
        let (_, after) = upstream.split_once(mark)?;
        Some(first + take_number(after.trim_start_matches('.')).0.min(29))
    };
    [("+dfsg", 1), (".dfsg", 1), ("+ds", 31), ("+repack", 61)].into_iter().find_map(rank).unwrap_or(0)
}

fn upstream_to_apk(upstream: &str) -> String {
    let lower = upstream.to_ascii_lowercase();
    if let Some((stated, really)) = lower.split_once("+really") {
        return really_to_apk(stated, really);
    }
    let (version, tail) = numbers(&lower);
    with_suffixes(version, &suffixes(tail))
}

/// `1.3+really1.3.1` is 1.3.1 under a name that dpkg sorts after 1.3. If the real version is lower, its numbers follow
/// the stated version as `_p`, to keep the order.
fn really_to_apk(stated: &str, really: &str) -> String {
    let (stated_numbers, tail) = numbers(stated);
    let (really_numbers, _) = numbers(really);
    if compare(&stated_numbers, &really_numbers).is_le() {
        return upstream_to_apk(really);
    }
    let mut suffixes = suffixes(tail);
    let numbers = really_numbers.split('.').filter(|n| n.bytes().all(|b| b.is_ascii_digit()));
    suffixes.extend(numbers.map(|number| ("p", number)));
    with_suffixes(stated_numbers, &suffixes)
}

/// Splits off the leading numbers, without leading zeros, and one letter after them.
fn numbers(upstream: &str) -> (String, &str) {
    let (first, mut rest) = split_while(upstream, |c| c.is_ascii_digit());
    let mut version = plain(first).to_owned();
    while let Some(after) = rest.strip_prefix('.').filter(|after| after.starts_with(|c: char| c.is_ascii_digit())) {
        let (number, after) = split_while(after, |c| c.is_ascii_digit());
        version.push('.');
        version.push_str(plain(number));
        rest = after;
    }
    let mut chars = rest.chars();
    if let Some(letter) = chars.next().filter(char::is_ascii_lowercase)
        && !chars.as_str().starts_with(|c: char| c.is_ascii_alphanumeric())
    {
        version.push(letter);
        rest = chars.as_str();
    }
    (version, rest)
}

/// Removes leading zeros, and cuts the number to a length that fits any reader's integers.
fn plain(number: &str) -> &str {
    let number = number.trim_start_matches('0');
    let number = number.get(..18).unwrap_or(number);
    if number.is_empty() { "0" } else { number }
}

/// What follows the numbers, as apk's suffixes with their numbers, which may be empty.
fn suffixes(mut tail: &str) -> Vec<(&'static str, &str)> {
    let mut suffixes = Vec::new();
    while suffixes.len() < 6 && !tail.is_empty() {
        let (separator, rest) = split_while(tail, |c| !c.is_ascii_alphanumeric());
        let (word, rest) = split_while(rest, |c| c.is_ascii_lowercase());
        let dotted = rest.strip_prefix('.').filter(|_| !word.is_empty()).unwrap_or(rest);
        let (number, rest) = split_while(dotted, |c| c.is_ascii_digit());
        tail = rest;
        if matches!(word, "dfsg" | "ds" | "repack" | "debian") {
            continue;
        }
        let is_after_snapshot = !suffixes.is_empty() && word.len() > 3 && word.starts_with("git");
        if is_after_snapshot {
            break; // `+20151223.gitfa8646d`: the hash of a commit has no order.
        }
        let suffix = suffix(separator, word);
        suffixes.push((suffix, number));
        if matches!(suffix, "git" | "hg") || (separator.starts_with('~') && word.starts_with("git")) {
            break; // The hash of a commit follows.
        }
    }
    suffixes
}

/// Appends suffixes. apk accepts any number of them, other readers only one pre-release and one post-release suffix:
/// two or three of the latter become one, with the number `A BBBB CCCC` for `A`, `B` and `C`.
fn with_suffixes(mut version: String, suffixes: &[(&'static str, &str)]) -> String {
    let is_after = |suffix: &str| !matches!(suffix, "alpha" | "beta" | "pre" | "rc");
    for run in suffixes.chunk_by(|left, right| is_after(left.0) && is_after(right.0)) {
        let (packed, rest) = match run {
            [(suffix, first), (_, second), rest @ ..] => {
                let third = rest.first().map_or("0", |(_, third)| third);
                (Some((*suffix, packed(first, second, third))), rest.get(1..).unwrap_or_default())
            }
            _ => (None, run),
        };
        let rest = rest.iter().map(|(suffix, number)| {
            let number = if number.is_empty() { "" } else { plain(number) };
            (*suffix, number.to_owned())
        });
        for (suffix, number) in packed.into_iter().chain(rest) {
            version.push('_');
            version.push_str(suffix);
            version.push_str(&number);
        }
    }
    version
}

fn packed(first: &str, second: &str, third: &str) -> String {
    let value = |number: &str, most: u64| plain(number).parse().unwrap_or(most).min(most);
    let number = value(first, 9_999_999_999) * 100_000_000 + value(second, 9_999) * 10_000 + value(third, 9_999);
    number.to_string()
}

fn suffix(separator: &str, word: &str) -> &'static str {
    if separator.starts_with('~') {
        return match word {
            word if word < "b" => "alpha",
            word if word < "p" => "beta",
            word if word < "rc" => "pre",
            _ => "rc",
        };
    }
    match word {
        "cvs" => "cvs",
        "svn" => "svn",
        "git" => "git",
        "hg" => "hg",
        _ => "p",
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    /// Versions of Debian 13's packages, chosen for their shapes, in dpkg's order within each line.
    const CHAINS: &[&[&str]] = &[
        &["3.10.4-1", "3.10.4-1+b1", "3.10.4-1+deb13u1", "3.10.4-1.1", "3.10.4-2~deb13u1", "3.10.4-2", "3.10.5-1"],
        &["2.11.0~alpha-12", "2.11.0~beta2-9", "2.11.0~beta2-9+b2", "2.11.0~rc1-1", "2.11.0-1"],
        &["1:1.3.dfsg-1", "1:1.3.dfsg+really1.3.1-1", "1:1.3.dfsg+really1.3.1-1+b1", "1:1.3.dfsg+really1.3.2-1"],
        &["0.4.0-5", "0.4.0+dfsg-3", "0.4.0+dfsg1-1", "0.4.0+ds-1", "0.4.0+ds2-1", "0.4.1-1"],
        &["1:2.4.1+dfsg1-5", "1:2.4.1+dfsg1-6", "1:2.4.1+dfsg1-6+deb13u1", "1:2.4.2+dfsg1-1"],
        &["13.8", "13.8+deb13u1", "13.8+deb13u2", "13.9"],
        &["6.5+20250216-2", "6.5+20250301-1", "6.6-1"],
        &["2025a-1", "2025b-4", "2025b-4+deb13u1", "2025c-0+deb13u1"],
        &["3.1-20250104-1", "3.1-20250104-2", "3.1-20251016-1"],
        &["0.0~git200730-1.1", "0.0~git200730-1.1+b1", "0.0-1"],
        &["5.8+1.0.4", "5.8+1.0.11", "5.8+1.1", "5.8+1.1.1", "5.8+1.2", "5.8+2.0.1", "5.9+1.0"],
        &["2.12.7+dfsg+really2.9.4-1", "2.12.7+dfsg+really2.9.14-1", "2.12.7+dfsg+really2.12.1-1", "2.13.0+dfsg-1"],
        &["20240203", "20250419", "20250419+b1"],
        &["0.1.20+really0.1.18-1", "0.1.20+really0.1.19-1", "0.1.21-1"],
        &["1.4.3+dfsg-1~deb12u1", "1.4.3+dfsg-1", "1.4.3+dfsg-1+b2", "1.5.2+dfsg-1"],
    ];

    fn apk(version: &str) -> crate::apk::Version {
        DebianVersion::new(version).to_apk().parse().unwrap()
    }

    #[test]
    fn maps_as_documented() {
        for (debian, expected) in [
            ("3.10.5-1+deb13u2", "3.10.5-r1000200"),
            ("2.11.0~beta2-9+b2", "2.11.0_beta2-r9000002"),
            ("1:2.4.1+dfsg1-6+deb13u1", "2.4.1-r2006000100"),
            ("1:1.3.dfsg+really1.3.1-1+b1", "1.3.1-r1001000001"),
            ("13.8+deb13u2", "13.8-r200"),
            ("6.5+20250216-2", "6.5_p20250216-r2000000"),
            ("2025b-4", "2025b-r4000000"),
            ("0.02-1", "0.2-r1000000"),
            ("5.8+1.1.1", "5.8_p100010001-r0"),
            ("2.4+20151223.gitfa8646d.1-2+b5", "2.4_p20151223-r2000005"),
            ("2.12.7+dfsg+really2.9.14-2.1+deb13u3", "2.12.7_p200090014-r1002010300"),
            ("1.0~rc2+20250101-1", "1.0_rc2_p20250101-r1000000"),
            ("1.0+1.2.3.4-1", "1.0_p100020003_p4-r1000000"),
        ] {
            assert_eq!(DebianVersion::new(debian).to_apk(), expected, "{debian}");
        }
    }

    #[test]
    fn keeps_the_order_of_real_versions() {
        for chain in CHAINS {
            for pair in chain.windows(2) {
                assert!(DebianVersion::new(pair[0]) < DebianVersion::new(pair[1]), "dpkg's order of {pair:?}");
                assert!(apk(pair[0]) < apk(pair[1]), "apk's order of {pair:?}");
            }
        }
    }

    /// What `dpkg --compare-versions` says. Debian machines have dpkg; elsewhere this test says what it needs.
    fn dpkg(left: &str, operator: &str, right: &str) -> bool {
        Command::new("dpkg")
            .args(["--compare-versions", left, operator, right])
            .stderr(std::process::Stdio::null())
            .status()
            .expect("this test asks dpkg: install Debian's dpkg")
            .success()
    }

    #[test]
    fn compares_as_dpkg_does() {
        let all: Vec<&str> = CHAINS.iter().flat_map(|chain| chain.iter().copied()).collect();
        for (i, left) in all.iter().enumerate() {
            for right in all.iter().skip(i) {
                let order = DebianVersion::new(*left).cmp(&DebianVersion::new(*right));
                let operator = match order {
                    Ordering::Less => "lt",
                    Ordering::Equal => "eq",
                    Ordering::Greater => "gt",
                };
                assert!(dpkg(left, operator, right), "{left} {operator} {right}");
            }
        }
    }

    /// What follows the numbers of one upstream's versions. Which of these a source uses is settled once; a release
    /// under another style (`+dfsg` after `+20250216`) is what the epoch is for.
    const STYLES: &[&[&str]] = &[
        &["", "~alpha1", "~beta2", "~rc1", "+dfsg", "+dfsg1", "+ds"],
        &["", "~git20250101", "~git20250301", "~rc1"],
        &["", "~beta2", "+git20250101", "+git20250301"],
        &["", "+20250216", "+20250301"],
    ];

    prop_compose! {
        fn version(style: &'static [&'static str])(
            numbers in prop::collection::vec(0_u32..13, 1..4),
            tail in prop::sample::select(style),
            main in 1_u32..4,
            nmu in prop::option::of(1_u32..4),
            update in prop::sample::select(vec!["", "", "~deb13u1", "+deb13u1", "+deb13u12"]),
            rebuild in prop::option::of(1_u32..12),
        ) -> DebianVersion {
            let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
            let nmu = nmu.map_or_else(String::new, |n| format!(".{n}"));
            let rebuild = rebuild.map_or_else(String::new, |n| format!("+b{n}"));
            DebianVersion::new(format!("{}{tail}-{main}{nmu}{update}{rebuild}", numbers.join(".")))
        }
    }

    fn two_versions() -> impl Strategy<Value = (DebianVersion, DebianVersion)> {
        prop::sample::select(STYLES).prop_flat_map(|style| (version(style), version(style)))
    }

    proptest! {
        #[test]
        fn order_survives((left, right) in two_versions()) {
            let (a, b) = (apk(left.as_str()), apk(right.as_str()));
            prop_assert_eq!(a.cmp(&b), left.cmp(&right), "{} {}: {} {}", left, right, a, b);
        }

        #[test]
        fn whatever_debian_allows_fits_the_grammar(version in "[0-9][0-9A-Za-z.+~]{0,20}(-[0-9A-Za-z.+~]{1,12})?") {
            let mapped = DebianVersion::new(&*version).to_apk();
            prop_assert!(mapped.parse::<crate::apk::Version>().is_ok(), "{version}: {mapped}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn compares_made_up_versions_as_dpkg_does(
            left in "[0-3](\\.[0-9]{1,2}){0,2}([+~.][a-c]{0,2}[0-9]{0,2}){0,2}-[0-9][.+~a-b0-9]{0,3}",
            right in "[0-3](\\.[0-9]{1,2}){0,2}([+~.][a-c]{0,2}[0-9]{0,2}){0,2}-[0-9][.+~a-b0-9]{0,3}",
        ) {
            let less = DebianVersion::new(&*left) < DebianVersion::new(&*right);
            prop_assert_eq!(less, dpkg(&left, "lt", &right), "{} {}", left, right);
        }
    }
}
