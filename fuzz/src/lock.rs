//! Locks. A lock is written in exactly one way.

use mailimg::lock::{Lock, changes};

use crate::common::{Outcome, Target};

pub const TARGET: Target = Target { check, seeds };

fn check(input: &[u8]) -> Outcome {
    let lock: Lock = std::str::from_utf8(input)?.parse()?;
    let written = lock.to_string();
    assert_eq!(written.parse::<Lock>().as_ref(), Ok(&lock));
    assert_eq!(changes(&lock, &lock), []);
    Ok(())
}

fn seeds() -> Vec<Vec<u8>> {
    let shared = include_str!("example.lock");
    let imported = include_str!("example-imported.lock");
    vec![shared.into(), imported.into()]
}
