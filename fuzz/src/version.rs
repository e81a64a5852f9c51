//! Versions of packages: up to three, one a line, whose order must be an order.

use std::cmp::Ordering;

use mailimg::apk::{Op, Version};

use crate::common::{Outcome, Target};

pub const TARGET: Target = Target { check, seeds };

const OPS: [Op; 8] = [
    Op::Less,
    Op::LessOrEqual,
    Op::LessOrFuzzy,
    Op::Equal,
    Op::Fuzzy,
    Op::GreaterOrFuzzy,
    Op::GreaterOrEqual,
    Op::Greater,
];

fn check(input: &[u8]) -> Outcome {
    let text = std::str::from_utf8(input)?;
    let mut versions: Vec<Version> = text.splitn(3, '\n').map(Version::any).collect();
    versions.sort();
    for pair in versions.windows(2) {
        assert_ordered(&pair[0], &pair[1]);
    }
    if let [first, .., last] = &versions[..] {
        assert_ordered(first, last);
    }
    versions.iter().try_for_each(read)
}

/// The first isn't above the second, whoever asks.
fn assert_ordered(first: &Version, second: &Version) {
    let order = first.cmp(second);
    assert!(order != Ordering::Greater, "{first} is above {second}");
    assert_eq!(second.cmp(first), order.reverse(), "{first} and {second}");
    assert_eq!(first == second, order == Ordering::Equal);
    for op in OPS {
        let _ = (op.matches(first, second), op.allows(second, first));
    }
}

fn read(version: &Version) -> Outcome {
    let parsed = version.as_str().parse::<Version>();
    assert_eq!(parsed.is_ok(), version.is_valid());
    assert!(version.starts_with(version));
    Ok(parsed.map(drop)?)
}

fn seeds() -> Vec<Vec<u8>> {
    [
        "1.2.3-r0\n1.2.3-r1\n1.2.3_rc1-r0",
        "1.0a_alpha1_p2~0f1e2d-r3\n1.0b\n1.0",
        "0.10\n0.010\n0.1",
        "1_alpha_beta_pre_rc_cvs_svn_git_hg_p\n18446744073709551616\n00018446744073709551617",
        "not a version\n1.\n-r1",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}
