//! Indexes: the file, or only the text in it.

use mailimg::apk::index::{Index, Listed, parse, text};
use mailimg::apk::{Keyring, Package};

use crate::common::{Outcome, Target};

pub const TARGET: Target = Target { check, seeds };

fn check(input: &[u8]) -> Outcome {
    if !input.starts_with(&[0x1f, 0x8b]) {
        return read(parse(input));
    }
    assert!(Index::read(input, &Keyring::new()).is_err(), "no key is trusted");
    let Index { packages, left_out, .. } = Index::read_unverified(input)?;
    read(Listed { packages, left_out })
}

/// What is written of the packages is the same when it is read again. Only packages with an architecture are written.
fn read(Listed { mut packages, left_out }: Listed) -> Outcome {
    for entry in &left_out {
        assert!(!entry.to_string().is_empty());
    }
    packages.retain(|package| !package.arch.is_empty());
    let written = text(&packages);
    let again = parse(written.as_bytes());
    assert_eq!(again.left_out, []);
    assert_eq!(again.packages.len(), packages.len());
    assert_eq!(text(&again.packages), written);
    match left_out.into_iter().next() {
        Some(entry) => Err(entry.error.into()),
        None => Ok(()),
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let entry = "C:Q1qZk+NkcGgWq6PiVxeFDCbJzQ2J0=\nP:musl\nV:1.2.5-r0\nA:x86_64\nS:383152\nI:622592\nT:the C library\n\
                 U:https://example.org/\nL:MIT\no:musl\nm:Jane <jane@example.org>\nt:1711000000\nc:4fe5\nD:!old a>=1 b~2\n\
                 p:so:libc.so.1=1 cmd:ldd\ni:b c=2\nr:d<3\nq:100\nk:10\n\n";
    let two = format!("{entry}{}", entry.replace("musl", "busybox"));
    let packages: Vec<Package> = parse(two.as_bytes()).packages;
    let file = Index::new("v1-2-g3", packages).write(None).unwrap();
    vec![
        entry.into(),
        two.into(),
        entry.replace('\n', "\r\n").into(),
        b"P:a\nV:1\nX:y\n\nP:b\nnonsense\n".to_vec(),
        file,
    ]
}
